//! The graph of the shipped definition, of generated ones, and of such as nobody should write.

mod history;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use aws_sdk_sfn::types::HistoryEventType as Kind;
use expect_test::expect;
use quick_xml::Reader;
use quick_xml::events::Event;
use runs::View;
use serde_json::{Value, json};

use super::layout::{Layout, Rect, layout};
use super::shape::Shape;
use super::text::id;
use super::{legend, svg};
use history::{History, extracting, failed};

fn shipped() -> Value {
    serde_json::from_str(include_str!("../../../../../statemachine/etl.asl.json")).unwrap()
}

fn draw(definition: &Value, view: &View, chosen: Option<&str>) -> String {
    svg(definition, view, chosen, &|state| format!("?step={state}"))
}

/// An element's name, attributes and text.
#[derive(Debug)]
struct Element {
    name: String,
    attributes: HashMap<String, String>,
    text: String,
}

/// The elements of a drawing, which is XML and nests as it should.
fn elements(svg: &str) -> Vec<Element> {
    let mut reader = Reader::from_str(svg);
    let (mut elements, mut open): (Vec<Element>, Vec<usize>) = (Vec::new(), Vec::new());
    loop {
        let event = reader.read_event().unwrap();
        let is_start = matches!(event, Event::Start(_));
        match event {
            Event::Start(start) | Event::Empty(start) => {
                let attributes = start.attributes().map(|attribute| {
                    let attribute = attribute.unwrap();
                    let raw = String::from_utf8(attribute.value.to_vec()).unwrap();
                    let value = quick_xml::escape::unescape(&raw).unwrap().into_owned();
                    (String::from_utf8(attribute.key.as_ref().to_vec()).unwrap(), value)
                });
                let attributes = attributes.collect();
                let name = String::from_utf8(start.name().as_ref().to_vec()).unwrap();
                elements.push(Element { name, attributes, text: String::new() });
                if is_start {
                    open.push(elements.len() - 1);
                }
            }
            Event::End(_) => assert!(open.pop().is_some()),
            Event::Text(text) => {
                let text = text.decode().unwrap().into_owned();
                if let Some(index) = open.last() {
                    elements[*index].text.push_str(&text);
                }
            }
            Event::GeneralRef(reference) => {
                let reference = format!("&{};", reference.decode().unwrap());
                let text = quick_xml::escape::unescape(&reference).unwrap();
                elements[*open.last().unwrap()].text.push_str(&text);
            }
            Event::Eof => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(open.is_empty());
    elements
}

/// Each link's words, and its classes.
fn steps(svg: &str) -> Vec<(String, String)> {
    let elements = elements(svg);
    let links = elements.windows(2).filter(|pair| pair[0].name == "a" && pair[1].name == "title");
    links.map(|pair| (pair[1].text.clone(), pair[0].attributes["class"].clone())).collect()
}

fn is_apart(a: Rect, b: Rect) -> bool {
    a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y
}

fn is_within(inner: Rect, outer: Rect) -> bool {
    inner.x >= outer.x
        && inner.y >= outer.y
        && inner.x + inner.width <= outer.x + outer.width
        && inner.y + inner.height <= outer.y + outer.height
}

/// Whether a line between two corners runs through the inside of a box.
fn crosses((a, b): (&(i32, i32), &(i32, i32)), rect: Rect) -> bool {
    a.0.max(b.0) > rect.x
        && a.0.min(b.0) < rect.x + rect.width
        && a.1.max(b.1) > rect.y
        && a.1.min(b.1) < rect.y + rect.height
}

/// What holds for every layout.
fn check(definition: &Value) {
    let shape = Shape::of(definition);
    let Layout { width, height, boxes, lines } = layout(&shape);
    let whole = Rect { x: 0, y: 0, width, height };
    assert_eq!(boxes.len(), shape.states.len());
    for (at, block) in boxes.iter().enumerate() {
        let name = shape.states[at].name;
        assert!(
            block.rect.width > 0 && block.rect.height > 0 && is_within(block.rect, whole),
            "{name:?} {:?}",
            block.rect
        );
        for other in &boxes[at + 1..] {
            assert!(is_apart(block.rect, other.rect), "{name:?}: {:?} {:?} {definition}", block.rect, other.rect);
        }
        assert_eq!(block.chips.len(), shape.states[at].branches.len());
        for (at, chip) in block.chips.iter().enumerate() {
            assert!(is_within(*chip, block.rect), "{name:?}: {chip:?} {:?}", block.rect);
            assert!(block.chips[at + 1..].iter().all(|other| is_apart(*chip, *other)), "{name:?}: {chip:?}");
        }
    }
    for line in &lines {
        for (a, b) in line.points.iter().zip(&line.points[1..]) {
            assert!(a.0 == b.0 || a.1 == b.1, "no right angle: {:?}", line.points);
            assert!(is_within(Rect { x: a.0.min(b.0), y: a.1.min(b.1), width: 0, height: 0 }, whole));
            assert!(is_within(Rect { x: a.0.max(b.0), y: a.1.max(b.1), width: 0, height: 0 }, whole));
            for (at, block) in boxes.iter().enumerate() {
                assert!(!crosses((a, b), block.rect), "{:?} crosses {:?}", line.points, shape.states[at].name);
            }
        }
    }
    let says: Vec<_> = steps(&draw(definition, &View::default(), None)).into_iter().map(|(says, _)| says).collect();
    let wanted = shape.states.iter().map(|state| 1 + state.branches.len()).sum::<usize>();
    assert_eq!(says.len(), wanted);
    assert!(says.iter().all(|says| says.ends_with(": not run")), "{says:?}");
}

#[test]
fn the_shipped_definition_is_laid_out_as_a_line_with_what_leaves_it_above_and_below() {
    let definition = shipped();
    check(&definition);
    let shape = Shape::of(&definition);
    let layout = layout(&shape);
    let mut text = format!("{} × {}\n", layout.width, layout.height);
    for (state, block) in shape.states.iter().zip(&layout.boxes) {
        let Rect { x, y, width, height } = block.rect;
        let _ = write!(text, "{:<18} {x:>4} {y:>3}  {width} × {height}", state.name);
        if let [first, .., last] = block.chips.as_slice() {
            let _ = write!(text, "  {} from {} {} to {} {}", block.chips.len(), first.x, first.y, last.x, last.y);
        }
        text.push('\n');
    }
    expect![[r#"
        1764 × 497
        Checkpoint           10 202  91 × 42
        Anything noticed?   125 205  77 × 36
        Checkpoint failed    18 335  110 × 24
        Plan                226 202  76 × 42
        Tell of notices     125  59  113 × 42
        Tell failure        831 400  90 × 42
        Anything changed?   326 205  81 × 36
        Plan failed         244 335  77 × 24
        Warn                262  59  76 × 42
        Notices in short    148  12  103 × 24
        Notify              945 400  76 × 42
        Failure in short    844 463  100 × 24
        Extract             431 132  341 × 182  11 from 441 158 to 550 272
        Up to date          360  66  101 × 28
        Already running     317  10  134 × 28
        Halt               1045 400  76 × 42
        Extracted?          796 205  88 × 36
        Go on              1145 403  47 × 36
        Transform           908 132  425 × 182  11 from 918 158 to 1055 272
        Extract failed      813 335  91 × 24
        Load               1484 202  76 × 42
        Transformed?       1357 205  103 × 36
        Anything rejected? 1584 205  80 × 36
        Load failed        1501 335  80 × 24
        Transform failed   1373 335  106 × 24
        Done               1688 209  66 × 28
        Tell of rejects    1201  59  111 × 42
        Tell of findings   1537  59  117 × 42
        Alert              1336  59  76 × 42
        Rejects in short   1223  12  103 × 24
        Report             1678  59  76 × 42
        Findings in short  1559  12  108 × 24
        Anything found?    1436  62  77 × 36
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_run_that_failed_shows_where_and_which_way_it_took() {
    let definition = shipped();
    let svg = draw(&definition, &failed(&definition).view(), Some("Extract payment failed"));
    let told = steps(&svg).into_iter().filter(|(says, _)| !says.ends_with(": not run"));
    let told: String = told.map(|(says, class)| format!("{says} [{class}]\n")).collect();
    expect![[r#"
        Checkpoint: succeeded, 21 ms [step task s-done]
        Anything noticed?: succeeded [step choice s-done]
        Plan: succeeded, 38 ms [step task s-done]
        Tell failure: succeeded, 33 ms [step task s-done]
        Anything changed?: succeeded [step choice s-done]
        Notify: succeeded, 27 ms [step task s-done]
        Extract: caught error, 1 of 11 failed [step parallel s-caught]
        Extract address: succeeded, 72 ms [step chip s-done]
        Extract counterparty: succeeded, 79 ms [step chip s-done]
        Extract currency: succeeded, 86 ms [step chip s-done]
        Extract department: succeeded, 93 ms [step chip s-done]
        Extract design: succeeded, 100 ms [step chip s-done]
        Extract staff: succeeded, 107 ms [step chip s-done]
        Extract payment_type: succeeded, 114 ms [step chip s-done]
        Extract sales_order: succeeded, 121 ms [step chip s-done]
        Extract purchase_order: succeeded, 128 ms [step chip s-done]
        Extract transaction: succeeded, 135 ms [step chip s-done]
        Extract payment: caught error, 3 tries, Source.AccessDenied [step chip s-caught chosen]
        Halt: failed, 40 ms, Source.AccessDenied [step task s-failed]
        Extracted?: succeeded [step choice s-done]
        Extract failed: succeeded [step pass s-done]
    "#]]
    .assert_eq(&told);
    let count =
        |class: &str| elements(&svg).iter().filter(|e| e.attributes.get("class").is_some_and(|c| c == class)).count();
    assert_eq!((count("way s-done"), count("way s-caught")), (4, 5));
}

#[test]
fn a_run_that_is_at_work_says_how_far_it_is() {
    let definition = shipped();
    let (mut history, _, entered) = extracting(&definition);
    let tried = history.tried(entered[0], 100, 1, true);
    history.add(tried, 100, Kind::TaskStateExited, "Extract address");
    history.tried(entered[1], 100, 2, false);
    history.add(entered[1], 110, Kind::TaskScheduled, "");
    history.add(entered[2], 110, Kind::TaskScheduled, "");
    let svg = draw(&definition, &history.view(), None);
    let texts: Vec<_> = elements(&svg).into_iter().filter(|e| e.name == "text").map(|e| e.text).collect();
    assert!(texts.contains(&"1 of 11 done".to_owned()), "{texts:?}");
    let told = steps(&svg);
    let class = |says: &str| told.iter().find(|(told, _)| told == says).map(|(_, class)| class.as_str());
    assert_eq!(class("Extract address: succeeded, 40 ms"), Some("step chip s-done"));
    assert_eq!(class("Extract counterparty: in progress, Source.AccessDenied"), Some("step chip s-running"));
    assert_eq!(class("Extract currency: in progress"), Some("step chip s-running"));
}

#[test]
fn the_way_an_error_took_is_coloured_as_one_and_what_was_stopped_is_cancelled() {
    let definition = json!({"StartAt": "a", "States": {
        "a": {"Type": "Task", "Catch": [{"Next": "tell"}], "Next": "b"}, "b": {"Type": "Task", "End": true},
        "tell": {"Type": "Task", "End": true}}});
    check(&definition);
    let mut history = History::default();
    let left = history.task(0, (0, 5), "a", 2, false);
    let tell = history.add(left, 5, Kind::TaskStateEntered, "tell");
    let scheduled = history.add(tell, 5, Kind::TaskScheduled, "");
    history.add(scheduled, 9, Kind::ExecutionAborted, "");
    let svg = draw(&definition, &history.view(), None);
    let told = steps(&svg);
    let expected = [
        ("a: caught error, 2 tries, Source.AccessDenied", "step task s-caught"),
        ("b: not run", "step task s-none"),
        ("tell: cancelled, 4 ms", "step task s-aborted"),
    ];
    assert_eq!(told, expected.map(|(says, class)| (says.to_owned(), class.to_owned())));
    assert_eq!(svg.matches("class=\"way s-caught\"").count(), 1);
    assert_eq!(svg.matches("class=\"way s-none\"").count(), 1);
}

#[test]
fn no_generated_definition_has_boxes_or_lines_on_each_other() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = random.usize(1..28);
        let mut serial = 0;
        check(&machine(&mut random, count, 2, &mut serial));
    }
}

/// A machine of any shape: cycles, ways to nowhere, Parallels within Parallels.
fn machine(random: &mut fastrand::Rng, count: usize, depth: usize, serial: &mut usize) -> Value {
    let names: Vec<String> = (0..count)
        .map(|_| {
            *serial += 1;
            format!("{} {serial}", ["Load", "Is there anything?", "x", "Tell the people of it"][random.usize(..4)])
        })
        .collect();
    let mut states = serde_json::Map::new();
    for (at, name) in names.iter().enumerate() {
        let any = |random: &mut fastrand::Rng| match random.usize(..12) {
            0 => "nowhere".to_owned(),
            1..=6 => names[(at + 1) % count].clone(),
            _ => names[random.usize(..count)].clone(),
        };
        let mut state = json!({"Type": "Task", "Next": any(random)});
        match random.usize(..10) {
            0 => state = json!({"Type": (["Succeed", "Fail", "Unheard"][random.usize(..3)])}),
            1 | 2 => {
                let rules: Vec<_> = (0..random.usize(..5)).map(|_| json!({"Next": any(random)})).collect();
                state = json!({"Type": "Choice", "Choices": rules, "Default": any(random)});
            }
            3 if depth > 0 => {
                let branch = |random: &mut fastrand::Rng, serial: &mut usize| {
                    let count = random.usize(1..4);
                    machine(random, count, depth - 1, serial)
                };
                let branches: Vec<_> = (0..random.usize(..14)).map(|_| branch(random, serial)).collect();
                state["Type"] = json!("Parallel");
                state["Branches"] = json!(branches);
            }
            4 => state["Type"] = json!("Map"),
            5 => state["Type"] = json!("Pass"),
            _ => {}
        }
        if random.bool() {
            state["Catch"] = json!([{"Next": any(random)}, {"Next": any(random)}]);
        }
        states.insert(name.clone(), state);
    }
    json!({"StartAt": names[0], "States": states})
}

#[test]
fn whatever_a_definition_is_it_is_drawn() {
    let branch = |at: usize| {
        let name = format!("Extract {at}");
        json!({"StartAt": name, "States": {name.clone(): {"Type": "Task", "End": true}}})
    };
    let many: Vec<Value> = (0..200).map(branch).collect();
    let rules: Vec<Value> = (0..200).map(|at| json!({"Next": format!("s{at}")})).collect();
    let mut fan = json!({"StartAt": "c", "States": {"c": {"Type": "Choice", "Choices": rules}}});
    for at in 0..200 {
        fan["States"][format!("s{at}")] = json!({"Type": "Task", "End": true});
    }
    for definition in [
        Value::Null,
        json!({}),
        json!({"StartAt": 3, "States": []}),
        json!({"StartAt": "a", "States": {}}),
        json!({"StartAt": "b", "States": {"a": 7}}),
        json!({"StartAt": "a", "States": {"a": {"Type": "Pass", "Next": "a", "Catch": [{"Next": "a"}, 7]}}}),
        json!({"StartAt": "a", "States": {"a": {"Type": "Task", "Next": "b"}, "b": {"Type": "Task", "Next": "a"}}}),
        json!({"StartAt": "p", "States": {"p": {"Type": "Parallel", "Branches": [{}, 7, {"States": {}}], "Next": "q"}}}),
        json!({"StartAt": "p", "States": {"p": {"Type": "Parallel", "Branches": many, "End": true}}}),
        fan,
    ] {
        check(&definition);
    }
}

#[test]
fn a_long_line_and_a_long_name_are_drawn_in_time() {
    let name = |at: usize| format!("{at} {}", "å long name of many words".repeat(9));
    let mut states = serde_json::Map::new();
    for at in 0..1_000 {
        let state = json!({"Type": "Task", "Next": name(at + 1), "Catch": [{"Next": name(at * 7 % 1_000)}]});
        states.insert(name(at), state);
    }
    let svg = draw(&json!({"StartAt": name(0), "States": states}), &View::default(), None);
    let texts: Vec<_> = elements(&svg).into_iter().filter(|e| e.name == "text" || e.name == "title").collect();
    assert_eq!(texts.len(), 2_000);
    assert!(texts.iter().all(|e| if e.name == "title" { e.text.len() > 200 } else { e.text.ends_with('…') }));
}

#[test]
fn a_name_cannot_leave_its_place() {
    let hostile = [
        "<script>alert(1)</script>",
        "\"><a href=\"javascript:alert(1)\" onclick='x'>",
        "]]></title><![CDATA[",
        "' onmouseover='x' &amp; &#0; <!--",
        "\u{0}\u{8}\u{1b}[2J\u{7f}\u{fffe}\u{ffff}\u{202e}\n\r\t",
    ];
    let mut states = serde_json::Map::new();
    for (at, name) in hostile.iter().enumerate() {
        let inner = format!("in {name}");
        let branch = json!({"StartAt": inner, "States": {inner.clone(): {"Type": "Task", "End": true}}});
        let next = hostile.get(at + 1).unwrap_or(&"nowhere");
        states.insert((*name).to_owned(), json!({"Type": "Parallel", "Branches": [branch], "Next": next}));
    }
    let definition = json!({"StartAt": hostile[0], "States": states});
    check(&definition);
    let mut history = History::default();
    let left = history.task(0, (0, 5), hostile[0], 2, false);
    history.task(left, (5, 6), hostile[1], 1, true);
    let svg = draw(&definition, &history.view(), Some(hostile[1]));
    let elements = elements(&svg);
    let names: HashSet<&str> = elements.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, HashSet::from(["svg", "g", "a", "title", "path", "text"]));
    let attributes: HashSet<&str> = elements.iter().flat_map(|e| e.attributes.keys().map(String::as_str)).collect();
    let known =
        "xmlns class role aria-label viewBox width height aria-hidden fill d id href aria-current transform x y";
    assert_eq!(attributes, known.split(' ').collect());
    for link in elements.iter().filter(|e| e.name == "a") {
        assert!(link.attributes["href"].starts_with("?step="), "{link:?}");
    }
    assert!(elements.iter().any(|e| e.name == "title" && e.text.starts_with(hostile[0])));
    assert!(!svg.contains(
        |letter: char| (letter.is_control() && letter != '\n') || "\u{202e}\u{fffe}\u{ffff}".contains(letter)
    ));
}

#[test]
fn every_step_has_one_id_and_the_legend_every_colour() {
    let definition = shipped();
    let svg = draw(&definition, &View::default(), None);
    let elements = elements(&svg);
    let ids: Vec<&String> = elements.iter().filter_map(|e| e.attributes.get("id")).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    for state in ["Checkpoint", "Anything found?", "Extract payment", "Transform dim_date"] {
        assert!(ids.contains(&&id(state)), "{state}");
    }
    let twice = json!({"StartAt": "p", "States": {"p": {"Type": "Parallel", "End": true, "Branches": [
        {"StartAt": "p", "States": {"p": {"Type": "Task", "End": true}}}]}}});
    assert_eq!(draw(&twice, &View::default(), None).matches("id=\"g-p\"").count(), 1);
    let colours = include_str!("../../../assets/graph.css");
    for meaning in legend() {
        assert_eq!(colours.matches(&format!("\n.{} {{", meaning.class)).count(), 1, "{}", meaning.class);
        assert_eq!(colours.matches(&format!("\n  .{} {{", meaning.class)).count(), 1, "{}", meaning.class);
        assert!(!meaning.word.is_empty() && meaning.sign.starts_with('M'));
    }
}
