//! Source files and places in them.

use std::path::{Path, PathBuf};

/// Index of a file in a [`SourceMap`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(u32);

impl FileId {
    /// Its place among the files.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A range of bytes in one source file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The smallest span that covers both; both must be of one file.
    pub fn to(self, other: Span) -> Span {
        debug_assert_eq!(self.file, other.file);
        Span {
            file: self.file,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// The same place with no width, just behind the span.
    pub fn after(self) -> Span {
        Span {
            start: self.end,
            ..self
        }
    }
}

/// Line and column of a byte, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// One loaded file.
#[derive(Clone, Debug)]
pub struct SourceFile {
    path: PathBuf,
    text: String,
    line_starts: Vec<u32>,
}

impl SourceFile {
    fn new(path: PathBuf, text: String) -> SourceFile {
        let mut line_starts = vec![0];
        line_starts.extend(
            text.bytes()
                .enumerate()
                .filter(|&(_, b)| b == b'\n')
                .map(|(i, _)| i as u32 + 1),
        );
        SourceFile {
            path,
            text,
            line_starts,
        }
    }

    /// The path as the operator gave it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Number of lines; an empty file has one.
    pub fn line_count(&self) -> u32 {
        self.line_starts.len() as u32
    }

    /// The text of a line (from 1) without its line feed; empty past the end.
    pub fn line(&self, line: u32) -> &str {
        let index = line.saturating_sub(1) as usize;
        let Some(&start) = self.line_starts.get(index) else {
            return "";
        };
        let end = self
            .line_starts
            .get(index + 1)
            .map_or(self.text.len(), |&next| next as usize - 1);
        self.text[start as usize..end].trim_end_matches('\r')
    }

    /// Byte offset at which a line (from 1) starts.
    pub fn line_start(&self, line: u32) -> u32 {
        let index = line.saturating_sub(1) as usize;
        self.line_starts
            .get(index)
            .copied()
            .unwrap_or(self.text.len() as u32)
    }

    /// The whole lines around some bytes, so that who shows them need not read all of the file.
    pub fn window(&self, start: u32, end: u32) -> Window<'_> {
        let first_line = self.line_of(start);
        let from = self.line_start(first_line) as usize;
        let to = self.line_start(self.line_of(end.max(start)) + 1) as usize;
        Window {
            text: &self.text[from..to],
            first_line,
            start: from,
        }
    }

    /// The line (from 1) in which a byte stands.
    pub fn line_of(&self, offset: u32) -> u32 {
        self.line_starts.partition_point(|&s| s <= offset) as u32
    }

    fn position(&self, offset: u32) -> Position {
        let line = self.line_of(offset);
        let start = self.line_starts[line as usize - 1] as usize;
        let end = (offset as usize).min(self.text.len());
        let column = self.text.get(start..end).map_or(0, |t| t.chars().count());
        Position {
            line,
            column: column as u32 + 1,
        }
    }
}

/// Some lines of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window<'a> {
    /// The lines.
    pub text: &'a str,
    /// The first one's number, from 1.
    pub first_line: u32,
    /// Byte offset of the first one in the file.
    pub start: usize,
}

impl Window<'_> {
    /// Where a span of the file is in these lines.
    pub fn range(&self, span: Span) -> std::ops::Range<usize> {
        let inside = |offset: u32| (offset as usize).saturating_sub(self.start);
        inside(span.start)..inside(span.end)
    }
}

/// All files of one run.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    /// No files yet.
    pub fn new() -> SourceMap {
        SourceMap::default()
    }

    /// Adds a file that is already in memory.
    pub fn add(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> FileId {
        self.files.push(SourceFile::new(path.into(), text.into()));
        FileId(self.files.len() as u32 - 1)
    }

    /// The file behind an id of this map.
    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.0 as usize]
    }

    /// All files in the order in which they were added.
    pub fn files(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.files
            .iter()
            .enumerate()
            .map(|(i, f)| (FileId(i as u32), f))
    }

    /// Line and column of a span's first byte.
    pub fn position(&self, span: Span) -> Position {
        self.file(span.file).position(span.start)
    }

    /// Line and column of the byte behind a span's last.
    pub fn end_position(&self, span: Span) -> Position {
        self.file(span.file).position(span.end)
    }

    /// The text that a span covers.
    pub fn text(&self, span: Span) -> &str {
        self.file(span.file)
            .text
            .get(span.start as usize..span.end as usize)
            .unwrap_or("")
    }

    /// The span widened to whole characters, and kept inside of its file.
    pub fn whole_characters(&self, span: Span) -> Span {
        let text = &self.file(span.file).text;
        let mut start = (span.start as usize).min(text.len());
        let mut end = (span.end as usize).min(text.len()).max(start);
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        while !text.is_char_boundary(end) {
            end += 1;
        }
        self.span(span.file, start, end)
    }

    /// `file:line:column` of a span.
    pub fn place(&self, span: Span) -> String {
        let at = self.position(span);
        let path = self.file(span.file).path.display();
        format!("{path}:{}:{}", at.line, at.column)
    }

    /// A span in a file of this map.
    pub fn span(&self, file: FileId, start: usize, end: usize) -> Span {
        Span {
            file,
            start: start as u32,
            end: end as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let mut map = SourceMap::new();
        let file = map.add("a.cfg", "eins\nzwö drei\n");
        let at = map.position(map.span(file, 10, 14));
        assert_eq!((at.line, at.column), (2, 5));
        assert_eq!(map.text(map.span(file, 10, 14)), "drei");
        assert_eq!(map.file(file).line(2), "zwö drei");
        assert_eq!(map.file(file).line(9), "");
        assert_eq!(map.place(map.span(file, 0, 4)), "a.cfg:1:1");
        let window = map.file(file).window(10, 14);
        assert_eq!((window.text, window.first_line), ("zwö drei\n", 2));
        assert_eq!(window.range(map.span(file, 10, 14)), 5..9);
        assert_eq!(map.file(file).window(0, 10).text, "eins\nzwö drei\n");
        let end = map.file(file).text().len() as u32;
        assert_eq!(map.file(file).window(end, end).text, "");
    }
}
