//! nginx's grammar: directives of words that end with `;` or hold a block.

/// A directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Line on which it begins, from 1.
    pub line: u32,
    /// Its words, quotes taken off.
    pub words: Vec<String>,
    /// Its block, if it has one.
    pub block: Option<Vec<Directive>>,
}

impl Directive {
    /// The first word.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// A word behind the first; empty when it is missing.
    pub fn argument(&self, index: usize) -> &str {
        self.words.get(index + 1).map_or("", String::as_str)
    }

    /// All words behind the first.
    pub fn arguments(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// As it is written in one line.
    pub fn shown(&self) -> String {
        self.words.join(" ")
    }
}

/// Deepest nesting of blocks.
const DEPTH: usize = 32;

/// Reads a file.
///
/// # Errors
/// A sentence with the line.
pub fn parse(text: &str) -> Result<Vec<Directive>, String> {
    let mut reader = Reader {
        chars: text.chars().collect(),
        at: 0,
        line: 1,
    };
    reader.block(0)
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    line: u32,
}

enum Token {
    Word(String),
    End,
    Open,
    Close,
    Over,
}

impl Reader {
    fn block(&mut self, depth: usize) -> Result<Vec<Directive>, String> {
        if depth > DEPTH {
            return Err(format!("line {}: blocks are nested too deeply", self.line));
        }
        let mut directives = Vec::new();
        let mut words = Vec::new();
        let mut line = self.line;
        loop {
            let token = self.token()?;
            match token {
                Token::Word(word) => {
                    if words.is_empty() {
                        line = self.line;
                    }
                    words.push(word);
                }
                Token::End if words.is_empty() => {}
                Token::End => directives.push(Directive {
                    line,
                    words: std::mem::take(&mut words),
                    block: None,
                }),
                Token::Open => {
                    let block = Some(self.block(depth + 1)?);
                    directives.push(Directive {
                        line,
                        words: std::mem::take(&mut words),
                        block,
                    });
                }
                Token::Close | Token::Over if !words.is_empty() => {
                    return Err(format!(
                        "line {line}: `{}` is not ended by `;`",
                        words.join(" ")
                    ));
                }
                Token::Close if depth == 0 => {
                    return Err(format!("line {}: `}}` without `{{`", self.line));
                }
                Token::Over if depth > 0 => {
                    return Err("a `{` is never closed".to_owned());
                }
                Token::Close | Token::Over => return Ok(directives),
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.chars.get(self.at).copied()?;
        self.at += 1;
        if next == '\n' {
            self.line += 1;
        }
        Some(next)
    }

    fn token(&mut self) -> Result<Token, String> {
        while let Some(next) = self.chars.get(self.at).copied() {
            match next {
                '#' => while self.next().is_some_and(|c| c != '\n') {},
                c if c.is_whitespace() => drop(self.next()),
                ';' | '{' | '}' => {
                    self.at += 1;
                    return Ok(match next {
                        ';' => Token::End,
                        '{' => Token::Open,
                        _ => Token::Close,
                    });
                }
                '"' | '\'' => return self.quoted(next),
                _ => return Ok(Token::Word(self.plain())),
            }
        }
        Ok(Token::Over)
    }

    fn quoted(&mut self, quote: char) -> Result<Token, String> {
        let begin = self.line;
        self.at += 1;
        let mut word = String::new();
        while let Some(next) = self.next() {
            match next {
                '\\' => word.extend(self.next()),
                c if c == quote => return Ok(Token::Word(word)),
                c => word.push(c),
            }
        }
        Err(format!("line {begin}: a quote is never closed"))
    }

    fn plain(&mut self) -> String {
        let mut word = String::new();
        while let Some(next) = self.chars.get(self.at).copied() {
            match next {
                // `${name}` is part of a word
                '{' if word.ends_with('$') => {}
                '}' if word.contains("${")
                    && !word[word.rfind("${").unwrap_or(0)..].contains('}') => {}
                c if c.is_whitespace() || matches!(c, ';' | '{' | '}') => break,
                '\\' => {
                    self.at += 1;
                    word.push('\\');
                    word.extend(self.next());
                    continue;
                }
                _ => {}
            }
            word.push(next);
            self.at += 1;
        }
        word
    }
}
