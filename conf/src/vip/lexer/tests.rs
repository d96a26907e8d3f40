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
fn a_name_without_braces_is_one_only_before_a_space() {
    let text = "$N=5\n$1=no\na $N b$N c$N/24 ${N}/24 $N:1\nd \"$N\"\n";
    let (shown, _) = tree(text);
    assert_eq!(shown, "$1=no a|5|b5|c$N/24|5/24|$N:1 d|$N");
}

#[test]
fn sequences_and_lists_repeat_the_rest_of_their_line() {
    let text = "~SEQ(N, 1, 3) a 10.0.${N}.1\n";
    assert_eq!(tree(text).0, "a|10.0.1.1 a|10.0.2.1 a|10.0.3.1");
    let text = "$MAX=20\nx {\n ~LST({A, B}, {c,1}, {d,2}) ~SEQx(N, 10, 10, $MAX ) $A ${B}${N}\n}\n";
    assert_eq!(tree(text).0, "x(c|1a c|114 d|2a d|214)");
    let text = "@main ~SEQ(N, 2) a $N\n@other ~SEQ(N, 2) b $N\nc ${N}\n";
    assert_eq!(tree(text).0, "a|1 a|2 c|${N}");
}

#[test]
fn sequences_repeat_definitions_of_several_lines() {
    let text = "$I= \\\n i ${K} { \\\n n ${K} \\\n }\n~LST(K, a, b) $I\n";
    assert_eq!(tree(text).0, "i|a(n|a) i|b(n|b)");
}

#[test]
fn repeated_lines_that_are_wrong_or_too_many_are_told() {
    let codes = |text: &str| -> Vec<_> {
        let (_, report) = tree(text);
        report.diagnostics.iter().map(|d| d.code).collect()
    };
    assert_eq!(codes("~SEQ(N, 1, 0, 5) a\n"), ["E0005"]);
    assert_eq!(codes("~SEQ(N\n"), ["E0005"]);
    let many = "~SEQ(A, 9000) ~SEQ(B, 9000) ~SEQ(C, 9000)\n";
    assert_eq!(codes(many), ["E0006"]);
    let deep = "~SEQ(A, 1) ".repeat(1000);
    assert_eq!(codes(&deep), ["E0006"]);
}

#[test]
fn random_numbers_lie_where_they_should() {
    let (shown, _) = tree("a ${_RANDOM 7 7} ${_RANDOMLY}\n");
    assert_eq!(shown, "a|7|${_RANDOMLY}");
    let text = "random_seed 3\na ${_RANDOM} ${_RANDOM}\n";
    assert_eq!(tree(text).0, tree(text).0);
}

#[test]
fn files_of_braces_are_included_and_old_encodings_may_stand_in_comments() {
    let folder = std::env::temp_dir().join(format!("evenkeel-lexer-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, text: &[u8]| std::fs::write(folder.join(name), text).expect(name);
    write(
        "main.conf",
        b"\xef\xbb\xbf! caf\xe9\ninclude {b,a}.inc\nx { include a.inc }\n",
    );
    write("a.inc", b"a 1 # \xff\n");
    write("b.inc", b"b \xe9\n");
    let shown = |nodes: Vec<Node>| nodes.iter().map(show).collect::<Vec<_>>().join(" ");
    let mut report = Report::default();
    let several = read(&folder.join("[ab].inc"), "main", &mut report);
    assert_eq!(shown(several), "a|1 b|\u{fffd}", "a pattern as the file");
    let mut report = Report::default();
    let nodes = read(&folder.join("main.conf"), "main", &mut report);
    std::fs::remove_dir_all(&folder).expect("removed");
    assert_eq!(shown(nodes), "b|\u{fffd} a|1 x(a|1)");
    let codes: Vec<_> = report.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, ["E0005"], "a word");
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
