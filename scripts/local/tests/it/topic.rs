//! SNS: one topic, messages as files.

use aws_sdk_sns::error::ProvideErrorMetadata as _;
use local::topic_arn;

use crate::world::World;

#[tokio::test]
async fn only_the_alerts_topic_takes_messages_and_only_legal_ones() {
    let world = World::new().await;
    let client = aws_sdk_sns::Client::new(world.stack.aws());
    let topic = topic_arn(&world.stack.deployment);
    let publish = async |topic: &str, subject: &str, text: &str| {
        let request = client.publish().topic_arn(topic).subject(subject).message(text);
        request.send().await.map(|_| ()).map_err(|error| error.code().unwrap_or("none").to_owned())
    };
    assert_eq!(publish(&topic, "a subject", "text & <more>\nü").await, Ok(()));
    assert_eq!(world.messages(), ["Subject: a subject\n\ntext & <more>\nü\n"]);
    for (subject, text) in [("", ""), (&*"s".repeat(101), "text"), ("two\nlines", "text"), ("é", "text")] {
        assert_eq!(publish(&topic, subject, text).await, Err("InvalidParameter".to_owned()), "{subject:?}");
    }
    assert_eq!(publish(&format!("{topic}2"), "s", "t").await, Err("NotFound".to_owned()));
    let other = client.list_topics().send().await;
    assert_eq!(other.expect_err("nobody needs it").code(), Some("InvalidAction"));
    world.stop().await;
}
