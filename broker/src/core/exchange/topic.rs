//! The topic exchange's index: a trie of words, `*` for exactly one word and `#` for any number of them.
//!
//! Matching walks all branches side by side, one word at a time, so that its cost is bounded by words times nodes
//! however many `#` the patterns have.

use super::{Target, remove_one};
use foldhash::HashMap;
use smallvec::SmallVec;

type NodeId = u32;
const ROOT: NodeId = 0;

/// Patterns and where they lead.
#[derive(Debug)]
pub struct TopicIndex {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
}

#[derive(Debug, Default)]
struct Node {
    words: HashMap<Box<[u8]>, NodeId>,
    star: Option<NodeId>,
    hash: Option<NodeId>,
    /// Whether this node is the `#` child of its parent: it stays while words pass.
    is_hash: bool,
    targets: Vec<Target>,
}

impl Node {
    fn is_unused(&self) -> bool {
        self.words.is_empty()
            && self.star.is_none()
            && self.hash.is_none()
            && self.targets.is_empty()
    }

    fn child(&self, word: &[u8]) -> Option<NodeId> {
        match word {
            b"*" => self.star,
            b"#" => self.hash,
            word => self.words.get(word).copied(),
        }
    }
}

impl Default for TopicIndex {
    fn default() -> TopicIndex {
        TopicIndex {
            nodes: vec![Node::default()],
            free: Vec::new(),
        }
    }
}

impl TopicIndex {
    pub fn insert(&mut self, pattern: &[u8], target: Target) {
        let mut node = ROOT;
        for word in words(pattern) {
            node = match self.nodes[node as usize].child(word) {
                Some(child) => child,
                None => self.add_child(node, word),
            };
        }
        self.nodes[node as usize].targets.push(target);
    }

    pub fn remove(&mut self, pattern: &[u8], target: &Target) {
        let mut path: Vec<(NodeId, &[u8])> = Vec::new();
        let mut node = ROOT;
        for word in words(pattern) {
            let Some(child) = self.nodes[node as usize].child(word) else {
                return;
            };
            path.push((node, word));
            node = child;
        }
        remove_one(&mut self.nodes[node as usize].targets, target);
        while let Some((parent, word)) = path.pop() {
            if !self.nodes[node as usize].is_unused() {
                return;
            }
            self.nodes[node as usize].is_hash = false;
            self.free.push(node);
            let parent_node = &mut self.nodes[parent as usize];
            match word {
                b"*" => parent_node.star = None,
                b"#" => parent_node.hash = None,
                word => drop(parent_node.words.remove(word)),
            }
            node = parent;
        }
    }

    pub fn matches(&self, key: &[u8], found: &mut dyn FnMut(&Target)) {
        let mut here: SmallVec<[NodeId; 16]> = SmallVec::new();
        let mut next: SmallVec<[NodeId; 16]> = SmallVec::new();
        self.enter(ROOT, &mut here);
        for word in words(key) {
            for &id in &here {
                let node = &self.nodes[id as usize];
                if node.is_hash {
                    next.push(id);
                }
                if let Some(&child) = node.words.get(word) {
                    self.enter(child, &mut next);
                }
                if let Some(child) = node.star {
                    self.enter(child, &mut next);
                }
            }
            next.sort_unstable();
            next.dedup();
            std::mem::swap(&mut here, &mut next);
            next.clear();
        }
        for id in here {
            self.nodes[id as usize].targets.iter().for_each(&mut *found);
        }
    }

    /// A node together with the `#` nodes that no word is needed to reach.
    fn enter(&self, mut id: NodeId, into: &mut SmallVec<[NodeId; 16]>) {
        loop {
            into.push(id);
            match self.nodes[id as usize].hash {
                Some(child) => id = child,
                None => return,
            }
        }
    }

    fn add_child(&mut self, parent: NodeId, word: &[u8]) -> NodeId {
        let child = match self.free.pop() {
            Some(id) => id,
            None => {
                self.nodes.push(Node::default());
                (self.nodes.len() - 1) as NodeId
            }
        };
        self.nodes[child as usize].is_hash = word == b"#";
        let parent = &mut self.nodes[parent as usize];
        match word {
            b"*" => parent.star = Some(child),
            b"#" => parent.hash = Some(child),
            word => drop(parent.words.insert(word.into(), child)),
        }
        child
    }
}

/// The words between the dots; the empty key has none.
fn words(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    let take = if key.is_empty() { 0 } else { usize::MAX };
    key.split(|byte| *byte == b'.').take(take)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::vhost::QueueId;
    use proptest::prelude::*;

    fn target(n: u32) -> Target {
        Target::Queue(QueueId {
            index: n,
            generation: 0,
        })
    }

    fn found(index: &TopicIndex, key: &str) -> Vec<u32> {
        let mut out = Vec::new();
        index.matches(key.as_bytes(), &mut |t| match t {
            Target::Queue(id) => out.push(id.index),
            Target::Exchange(_) => {}
        });
        out.sort_unstable();
        out.dedup();
        out
    }

    /// The definition, word by word.
    fn naive(pattern: &[&str], key: &[&str]) -> bool {
        match (pattern.first(), key.first()) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some(&"#"), None) => naive(&pattern[1..], key),
            (Some(&"#"), Some(_)) => naive(&pattern[1..], key) || naive(pattern, &key[1..]),
            (Some(_), None) => false,
            (Some(p), Some(k)) => (*p == "*" || p == k) && naive(&pattern[1..], &key[1..]),
        }
    }

    fn split(text: &str) -> Vec<&str> {
        if text.is_empty() {
            Vec::new()
        } else {
            text.split('.').collect()
        }
    }

    #[test]
    fn the_tutorials_patterns_match() {
        let mut index = TopicIndex::default();
        index.insert(b"*.orange.*", target(1));
        index.insert(b"*.*.rabbit", target(2));
        index.insert(b"lazy.#", target(2));
        assert_eq!(found(&index, "quick.orange.rabbit"), [1, 2]);
        assert_eq!(found(&index, "lazy.orange.elephant"), [1, 2]);
        assert_eq!(found(&index, "lazy"), [2]);
        assert_eq!(found(&index, "quick.brown.fox"), [0u32; 0]);
        assert_eq!(found(&index, "lazy.orange.male.rabbit"), [2]);
    }

    #[test]
    fn many_hashes_do_not_explode() {
        let mut index = TopicIndex::default();
        index.insert(
            "#.a.".repeat(20).trim_end_matches('.').as_bytes(),
            target(1),
        );
        assert_eq!(found(&index, "a.".repeat(120).trim_end_matches('.')), [1]);
    }

    proptest! {
        #[test]
        fn the_trie_agrees_with_the_definition(
            patterns in proptest::collection::vec("([ab*#]\\.){0,4}[ab*#]?", 1..8),
            removed in proptest::collection::vec(any::<bool>(), 8),
            key in "([ab]\\.){0,4}[ab]?",
        ) {
            let mut index = TopicIndex::default();
            for (n, pattern) in patterns.iter().enumerate() {
                index.insert(pattern.as_bytes(), target(n as u32));
            }
            for (n, pattern) in patterns.iter().enumerate() {
                if removed[n] {
                    index.remove(pattern.as_bytes(), &target(n as u32));
                }
            }
            let expected: Vec<u32> = (0..patterns.len())
                .filter(|n| !removed[*n] && naive(&split(&patterns[*n]), &split(&key)))
                .map(|n| n as u32)
                .collect();
            prop_assert_eq!(found(&index, &key), expected);
        }
    }
}
