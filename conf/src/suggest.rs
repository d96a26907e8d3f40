//! Did-you-mean: the known word nearest to a mistyped one.

/// The candidate nearest to `word`, if one is near enough to be a likely slip:
/// at most a third of the longer word's length away (Damerau-Levenshtein,
/// without regard to case), or one a prefix of the other.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .filter_map(|candidate| distance(&lower, candidate).map(|d| (d, candidate)))
        .min_by_key(|&(d, _)| d)
        .map(|(_, candidate)| candidate)
}

fn distance(word: &str, candidate: &str) -> Option<usize> {
    let candidate = candidate.to_lowercase();
    let longest = word.chars().count().max(candidate.chars().count());
    let d = strsim::damerau_levenshtein(word, &candidate);
    let limit = (longest / 3).max(1);
    if d <= limit && d < longest {
        return Some(d);
    }
    let prefix = word.len() >= 3 && candidate.starts_with(word);
    prefix.then_some(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_noise_finds_none() {
        let words = ["balance", "bind", "backlog", "leastconn"];
        assert_eq!(nearest("balence", words), Some("balance"));
        assert_eq!(nearest("LeastCon", words), Some("leastconn"));
        assert_eq!(nearest("bidn", words), Some("bind"));
        assert_eq!(nearest("xyzzy", words), None);
        assert_eq!(nearest("", words), None);
    }
}
