//! From an empty warehouse to a loaded one, and the run after.

use statemachine::Status;

use crate::world::World;

#[tokio::test]
async fn a_first_run_loads_everything_and_the_next_says_up_to_date() {
    let mut world = World::new().await;
    let first = world.load().await;
    assert_eq!(first.counts("dim_staff"), [20, 0, 0, 0, 0]);
    assert_eq!(world.warehouse("SELECT count(*) FROM fact_payment").await, "300");
    let second = world.load().await;
    assert_eq!(second.output["plan"]["status"], "up_to_date", "{:?}", second.output);
    assert_eq!(second.status, Status::Succeeded);
    world.stop().await;
}
