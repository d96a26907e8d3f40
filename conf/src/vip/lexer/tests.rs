use super::*;

fn tree(text: &str) -> (String, Report) {
    let mut report = Report::default();
    let nodes = read_text(Path::new("k.conf"), text, "main", &mut report);
    (nodes.iter().map(show).collect::<Vec<_>>().join(" "), report)
}

fn show(node: &Node) -> String {
    let words: Vec<_> = node.words.iter().map(|w| w.text.as_str()).collect();
    let words = words.join("|");
    match &node.block {
        Some(block) => {
            let inner: Vec<_> = block.iter().map(show).collect();
            format!("{words}({})", inner.join(" "))
        }
        None => words,
    }
}

#[test]
fn braces_may_stand_anywhere() {
    let (text, report) = tree("a x{ b 1\n c { d } }\ne\n{\n f\n}\n");
    assert_eq!(text, "a|x(b|1 c(d)) e(f)");
    assert!(report.diagnostics.is_empty());
}

#[test]
fn comments_quotes_and_escapes_are_keepalived_s() {
    let (text, _) = tree("script \"a b 'c d'\" x ! no\nabcd\" efg h jkl \"mnop # no\nx \\\"y\n");
    assert_eq!(text, "script|a b 'c d'|x abcd efg h jkl mnop x|\"y");
}

#[test]
fn definitions_conditions_and_several_lines_expand() {
    let text = "@main $P=240\n@other $P=1\n$INST= \\\n  inst ${P} { \\\n  y $P \\\n }\n$INST\nz ${NOT} $(cat x)\n";
    assert_eq!(tree(text).0, "inst|240(y|240) z|${NOT}|$(cat|x)");
    assert_eq!(tree("@ a\n@^ b\n").0, "b");
    assert_eq!(tree("$N=\\\n  5 \nx${N}y\n").0, "x5y");
}

#[test]
fn unbalanced_braces_and_quotes_are_shown_where_they_are() {
    let (_, report) = tree("a {\n b \"c\n}\n}\nd {\n");
    let codes: Vec<_> = report.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, ["E0008", "E0008", "E0008"]);
    assert!(report.human(false).contains("k.conf:2:4"));
    assert!(report.human(false).contains("k.conf:4:1"));
    assert!(report.human(false).contains("k.conf:5:3"));
}

#[test]
fn blocks_that_are_nested_too_deeply_are_passed_over() {
    let text = format!("a {} b {} c\n", "{".repeat(100_000), "}".repeat(100_000));
    let (shown, report) = tree(&text);
    let of = |code: &str| report.diagnostics.iter().filter(|d| d.code == code).count();
    assert_eq!(of("E0006"), 1);
    assert!(report.diagnostics.len() <= MAX_DEPTH + 1);
    assert!(shown.ends_with(" c"));
}
