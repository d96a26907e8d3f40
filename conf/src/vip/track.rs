//! What moves a router's priority: `vrrp_script`, `vrrp_track_process`,
//! `vrrp_track_file`, `track_lb`, and the lists that name them.

use super::Options;
use super::lexer::Node;
use super::model::{
    ParamMatch, Place, Script, ScriptUser, Track, TrackedBalancer, TrackedFile, TrackedProcess,
    Tracks, Weight,
};
use super::section::{self, MOST_FACTOR, MOST_WEIGHT, Others, Section, Table};
use crate::diagnostic::{Diagnostic, Severity};
use crate::keyword::{Args, Keyword, Word};
use std::path::PathBuf;
use std::time::Duration;

/// No keyword of keepalived is left out in these sections.
pub static NONE: Others = Others {
    passive: &[],
    missing: &[],
};

/// A `vrrp_script` before its command is known.
pub struct ScriptDraft {
    script: Script,
    command: Option<Word>,
    user: Option<ScriptUser>,
}

impl ScriptDraft {
    /// keepalived's defaults.
    pub fn new(name: &Word) -> ScriptDraft {
        ScriptDraft {
            script: Script {
                name: name.text.clone(),
                place: Place(name.span),
                command: super::model::Command {
                    place: Place(name.span),
                    words: Vec::new(),
                    line: String::new(),
                    user: None,
                },
                interval: Duration::from_secs(1),
                timeout: None,
                weight: Weight::default(),
                rise: 1,
                fall: 1,
                init_fail: false,
            },
            command: None,
            user: None,
        }
    }

    /// The script, or what is missing.
    pub fn finish(self) -> Result<Script, Diagnostic> {
        let Some(word) = self.command else {
            let name = &self.script.name;
            let text = format!("vrrp_script `{name}` has no `script`");
            return Err(Diagnostic::error("E2001", self.script.place.0, text));
        };
        let command = section::command_of(&word, self.user)?;
        Ok(Script {
            command,
            ..self.script
        })
    }
}

/// The keywords of `vrrp_script`.
pub static SCRIPT: Table<ScriptDraft> = &[
    Keyword {
        name: "script",
        args: "<command line>",
        doc: "The command, with its arguments in one quoted string; exit status 0 is good. One-line checks of a process (killall -0, pidof, pgrep -x, kill -0, systemctl is-active) are watched without polling.",
        example: "script \"/usr/bin/killall -0 haproxy\"",
        apply: |s, a| {
            let first = a.expect("a command")?;
            let mut word = first.clone();
            for more in a.rest() {
                word.text.push(' ');
                word.text.push_str(&more.text);
                word.span = word.span.to(more.span);
            }
            s.draft.command = Some(word);
            Ok(())
        },
    },
    Keyword {
        name: "interval",
        args: "<seconds>",
        doc: "Between two runs; default 1.",
        example: "interval 2",
        apply: |s, a| {
            s.draft.script.interval = section::seconds(a, 0.01, 100_000.0)?;
            Ok(())
        },
    },
    Keyword {
        name: "timeout",
        args: "<seconds>",
        doc: "A run that lasts longer is killed and counts as failed; default the interval.",
        example: "timeout 1",
        apply: |s, a| {
            s.draft.script.timeout = Some(section::seconds(a, 0.01, 100_000.0)?);
            Ok(())
        },
    },
    Keyword {
        name: "weight",
        args: "<-253..253> [reverse]",
        doc: "Positive: added while good; negative: subtracted while bad; 0 (default): bad means FAULT.",
        example: "weight -20",
        apply: |s, a| {
            s.draft.script.weight = section::weight(a, MOST_WEIGHT)?;
            Ok(())
        },
    },
    Keyword {
        name: "rise",
        args: "<count>",
        doc: "Good runs in a row before it counts as good; default 1.",
        example: "rise 2",
        apply: |s, a| {
            s.draft.script.rise = section::number(a, 1, 1_000_000)?;
            Ok(())
        },
    },
    Keyword {
        name: "fall",
        args: "<count>",
        doc: "Bad runs in a row before it counts as bad; default 1.",
        example: "fall 3",
        apply: |s, a| {
            s.draft.script.fall = section::number(a, 1, 1_000_000)?;
            Ok(())
        },
    },
    Keyword {
        name: "user",
        args: "<user> [group]",
        doc: "Who runs it; default script_user.",
        example: "user nobody",
        apply: |s, a| {
            s.draft.user = Some(ScriptUser {
                user: a.expect("a user")?.text.clone(),
                group: a.take().map(|w| w.text.clone()),
            });
            Ok(())
        },
    },
    Keyword {
        name: "init_fail",
        args: "",
        doc: "Counts as bad until the first good run.",
        example: "init_fail",
        apply: |s, _| {
            s.draft.script.init_fail = true;
            Ok(())
        },
    },
];

/// The keywords of `vrrp_track_process`.
pub static PROCESS: Table<TrackedProcess> = &[
    Keyword {
        name: "process",
        args: "<program> [parameter ...]",
        doc: "Name of the program, and the parameters that must match.",
        example: "process haproxy",
        apply: |s, a| {
            s.draft.program = a.expect("a program")?.text.clone();
            s.draft.parameters = a.rest().iter().map(|w| w.text.clone()).collect();
            if !s.draft.parameters.is_empty() && s.draft.param_match == ParamMatch::Any {
                s.draft.param_match = ParamMatch::Exact;
            }
            Ok(())
        },
    },
    Keyword {
        name: "param_match",
        args: "initial|partial",
        doc: "How parameters are compared: the first ones equal, or the last one by its beginning.",
        example: "param_match initial",
        apply: |s, a| {
            s.draft.param_match = a.choose(
                "a way to match",
                &[
                    ("initial", ParamMatch::Initial),
                    ("partial", ParamMatch::Partial),
                ],
            )?;
            Ok(())
        },
    },
    Keyword {
        name: "weight",
        args: "<-254..254> [reverse]",
        doc: "As for a script.",
        example: "weight -20",
        apply: |s, a| {
            s.draft.weight = section::weight(a, MOST_FACTOR)?;
            Ok(())
        },
    },
    Keyword {
        name: "quorum",
        args: "<count>",
        doc: "Processes needed; default 1.",
        example: "quorum 2",
        apply: |s, a| {
            s.draft.quorum = section::number(a, 1, 65_535)?;
            Ok(())
        },
    },
    Keyword {
        name: "quorum_max",
        args: "<count>",
        doc: "More processes than this count as bad.",
        example: "quorum_max 4",
        apply: |s, a| {
            s.draft.quorum_max = Some(section::number(a, 0, 65_535)?);
            Ok(())
        },
    },
    Keyword {
        name: "fork_delay",
        args: "<seconds>",
        doc: "Before a new process counts; default 0.",
        example: "fork_delay 1",
        apply: |s, a| {
            s.draft.fork_delay = section::seconds(a, 0.0, 3600.0)?;
            Ok(())
        },
    },
    Keyword {
        name: "terminate_delay",
        args: "<seconds>",
        doc: "Before the end of a process counts; default 0.",
        example: "terminate_delay 1",
        apply: |s, a| {
            s.draft.terminate_delay = section::seconds(a, 0.0, 3600.0)?;
            Ok(())
        },
    },
    Keyword {
        name: "delay",
        args: "<seconds>",
        doc: "fork_delay and terminate_delay together.",
        example: "delay 1",
        apply: |s, a| {
            let delay = section::seconds(a, 0.0, 3600.0)?;
            s.draft.fork_delay = delay;
            s.draft.terminate_delay = delay;
            Ok(())
        },
    },
    Keyword {
        name: "full_command",
        args: "",
        doc: "Compares the program's whole path, not its short name.",
        example: "full_command",
        apply: |s, _| {
            s.draft.full_command = true;
            Ok(())
        },
    },
];

/// The keywords of `vrrp_track_file`.
pub static FILE: Table<TrackedFile> = &[
    Keyword {
        name: "file",
        args: "<path>",
        doc: "The file; its number times the weight is added to the priority.",
        example: "file /run/proxy.health",
        apply: |s, a| {
            s.draft.path = PathBuf::from(&a.expect("a path")?.text);
            Ok(())
        },
    },
    Keyword {
        name: "weight",
        args: "<-254..254> [reverse]",
        doc: "Factor of the file's number; default 1. 0: any number but 0 means FAULT.",
        example: "weight 1",
        apply: |s, a| {
            s.draft.weight = section::weight(a, MOST_FACTOR)?;
            Ok(())
        },
    },
    Keyword {
        name: "init_file",
        args: "[value] [overwrite]",
        doc: "Writes this number (default 0) at start when the file is missing, or always.",
        example: "init_file 0 overwrite",
        apply: |s, a| {
            let overwrite = |a: &mut Args<'_>| a.take_if("overwrite").is_some();
            let mut init = (0, overwrite(a));
            if a.peek().is_some() {
                init.0 = section::number(a, -254, 254)?;
                init.1 |= overwrite(a);
            }
            s.draft.init = Some(init);
            Ok(())
        },
    },
];

/// The keywords of a `track_lb` definition.
pub static BALANCER: Table<TrackedBalancer> = &[
    Keyword {
        name: "socket",
        args: "<path>",
        doc: "Admin socket of the balancer; a closed one counts as a dead balancer at once.",
        example: "socket /run/evenkeel/lb.sock",
        apply: |s, a| {
            s.draft.socket = PathBuf::from(&a.expect("a path")?.text);
            Ok(())
        },
    },
    Keyword {
        name: "backend",
        args: "<name> ...",
        doc: "Backends that each need a usable server; without it one usable server anywhere is enough.",
        example: "backend rabbitmq_cluster",
        apply: |s, a| {
            s.draft.backends.push(a.expect("a backend")?.text.clone());
            s.draft
                .backends
                .extend(a.rest().iter().map(|w| w.text.clone()));
            Ok(())
        },
    },
    Keyword {
        name: "interval",
        args: "<seconds>",
        doc: "Between looks at the servers; default 0.5.",
        example: "interval 0.5",
        apply: |s, a| {
            s.draft.interval = section::seconds(a, 0.01, 3600.0)?;
            Ok(())
        },
    },
    Keyword {
        name: "weight",
        args: "<-253..253> [reverse]",
        doc: "As for a script; 0 (default) means FAULT when dead or unfit.",
        example: "weight -20",
        apply: |s, a| {
            s.draft.weight = section::weight(a, MOST_WEIGHT)?;
            Ok(())
        },
    },
];

/// An empty `vrrp_track_process`.
pub fn new_process(name: &Word) -> TrackedProcess {
    TrackedProcess {
        name: name.text.clone(),
        place: Place(name.span),
        program: String::new(),
        parameters: Vec::new(),
        param_match: ParamMatch::Any,
        full_command: false,
        weight: Weight::default(),
        quorum: 1,
        quorum_max: None,
        fork_delay: Duration::ZERO,
        terminate_delay: Duration::ZERO,
    }
}

impl TrackedProcess {
    /// A most that is less than the quorum counts as none, but 0 asks for no process at all.
    pub(super) fn check(&mut self, options: &Options) -> Option<Diagnostic> {
        if self.quorum_max == Some(0) {
            self.quorum = 0;
        }
        let most = self.quorum_max.filter(|most| *most < self.quorum)?;
        self.quorum_max = None;
        let text = format!(
            "quorum_max {most} of `{}` is less than its quorum",
            self.name
        );
        Some(section::replaced(
            options,
            self.place.0,
            text,
            "no quorum_max",
        ))
    }
}

/// An empty `vrrp_track_file`.
pub fn new_file(name: &Word) -> TrackedFile {
    TrackedFile {
        name: name.text.clone(),
        place: Place(name.span),
        path: PathBuf::new(),
        weight: Weight {
            value: 1,
            reverse: false,
        },
        init: None,
    }
}

/// An empty `track_lb`.
pub fn new_balancer(name: &Word) -> TrackedBalancer {
    TrackedBalancer {
        name: name.text.clone(),
        place: Place(name.span),
        socket: PathBuf::from("/run/evenkeel/lb.sock"),
        backends: Vec::new(),
        interval: Duration::from_millis(500),
        weight: Weight::default(),
    }
}

/// Adds a `track_*` block of an instance or a group to its lists.
pub fn block<T>(
    s: &mut Section<T>,
    a: &mut Args<'_>,
    tracks: fn(&mut T) -> &mut Tracks,
) -> Result<(), Diagnostic> {
    let nodes = s.block(a)?;
    let most = match a.keyword() {
        "track_process" | "track_file" => MOST_FACTOR,
        _ => MOST_WEIGHT,
    };
    let found = list(s, nodes, most);
    let tracks = tracks(&mut s.draft);
    let target = match a.keyword() {
        "track_interface" => &mut tracks.interfaces,
        "track_script" => &mut tracks.scripts,
        "track_process" => &mut tracks.processes,
        "track_file" => &mut tracks.files,
        _ => &mut tracks.balancers,
    };
    target.extend(found);
    Ok(())
}

/// The names in a `track_*` list, each with an optional `weight N [reverse]`, N up to `most`.
fn list<T>(s: &mut Section<T>, nodes: Vec<Node>, most: i16) -> Vec<Track> {
    let mut tracks = Vec::new();
    for node in nodes {
        match track(&node, most) {
            Ok(track) => tracks.push(track),
            Err(finding) => {
                let finding = s.judged("weight", finding);
                if finding.severity != Severity::Error {
                    tracks.push(plain(&node));
                }
                s.findings.push(finding);
            }
        }
    }
    tracks
}

/// An entry without any option.
fn plain(node: &Node) -> Track {
    let name = node.keyword();
    Track {
        name: name.text.clone(),
        place: Place(name.span),
        weight: None,
    }
}

fn track(node: &Node, most: i16) -> Result<Track, Diagnostic> {
    let name = node.keyword();
    let form = format!("[weight <-{most}..{most}> [reverse]]");
    let mut args = Args::new(&name.text, &form, name.span, &node.words[1..]);
    let mut weight = None;
    if args.take_if("weight").is_some() {
        weight = Some(section::weight(&mut args, most)?);
    }
    args.finish()?;
    Ok(Track {
        weight,
        ..plain(node)
    })
}
