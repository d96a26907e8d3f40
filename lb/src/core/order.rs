//! Weights and limits as operators and agents write them.

/// The weight that a word asks for: absolute (`0` to `256`) or, with `%`, a
/// share of the configured one.
///
/// # Errors
/// What is wrong, in HAProxy's words.
pub fn weight(word: &str, initial: u32) -> Result<u32, &'static str> {
    if word.is_empty() {
        return Err("Require <weight> or <weight%>.");
    }
    let (number, rest) = leading_number(word);
    let Some(number) = number else {
        return Err("Empty weight string empty or preceded by garbage");
    };
    if rest == "%" {
        if number < 0 {
            return Err("Relative weight must be positive.");
        }
        let share = number.min(25_600) * i64::from(initial) / 100;
        return Ok(share.min(256) as u32);
    }
    if !(0..=256).contains(&number) {
        return Err("Absolute weight can only be between 0 and 256 inclusive.");
    }
    if !rest.is_empty() {
        return Err("Trailing garbage in weight string");
    }
    Ok(number as u32)
}

/// The limit that a word asks for; 0: none.
///
/// # Errors
/// What is wrong, in HAProxy's words.
pub fn maxconn(word: &str) -> Result<u32, &'static str> {
    if word.is_empty() {
        return Err("Require <maxconn>.");
    }
    match leading_number(word) {
        (None, _) => Err("maxconn string empty or preceded by garbage"),
        (Some(_), rest) if !rest.is_empty() => Err("Trailing garbage in maxconn string"),
        (Some(number), _) => {
            u32::try_from(number).map_err(|_| "maxconn string empty or preceded by garbage")
        }
    }
}

/// The number that a word begins with, and what follows.
fn leading_number(word: &str) -> (Option<i64>, &str) {
    let sign = usize::from(word.starts_with(['-', '+']));
    let digits = word[sign..].bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = word.split_at(sign + digits);
    match digits {
        0 => (None, word),
        // more digits than a number holds: as large as it gets
        _ => (Some(number.parse().unwrap_or(i64::MAX)), rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_absolute_or_a_share_of_the_configured_one() {
        assert_eq!(weight("12", 10), Ok(12));
        assert_eq!(weight("75%", 10), Ok(7));
        assert_eq!(weight("900%", 10), Ok(90));
        assert_eq!(weight("99999999999999999999%", 100), Ok(256));
    }

    #[test]
    fn what_is_no_weight_is_told() {
        assert!(weight("", 1).is_err());
        assert_eq!(weight("5%x", 1), Err("Trailing garbage in weight string"));
        assert_eq!(weight("-5%", 1), Err("Relative weight must be positive."));
        assert!(weight("257", 1).unwrap_err().contains("between 0 and 256"));
        assert!(weight("x", 1).unwrap_err().contains("preceded by garbage"));
    }

    #[test]
    fn a_limit_is_a_number_and_nothing_else() {
        assert_eq!(maxconn("30"), Ok(30));
        assert_eq!(maxconn("0"), Ok(0));
        assert!(maxconn("x").unwrap_err().contains("preceded by garbage"));
        assert_eq!(maxconn("3x"), Err("Trailing garbage in maxconn string"));
        assert!(maxconn("-1").is_err());
    }
}
