//! The columns of the statistics: one table from which CSV, JSON, typed and Prometheus are made.
//!
//! Names, order, types and tags are those that monitoring tools read from HAProxy 2.6: 103 static
//! columns, then those of its protocol modules. The order is a promise: positions are part of the
//! typed and JSON outputs.

mod table;
mod take;

pub use table::COLUMNS;

use super::row::{Kind, Row};
use super::value::{Tags, Value};

/// One column.
pub struct Column {
    pub name: &'static str,
    /// What it counts, for `show stat desc` and the manual.
    pub doc: &'static str,
    tags: Tags,
    /// A backend's tags where they differ from the other rows'.
    backend_tags: Option<Tags>,
    value: fn(&Row) -> Value<'_>,
}

impl Column {
    const fn new(
        name: &'static str,
        tags: Tags,
        doc: &'static str,
        value: fn(&Row) -> Value<'_>,
    ) -> Self {
        Self {
            name,
            doc,
            tags,
            backend_tags: None,
            value,
        }
    }

    const fn backend(mut self, tags: Tags) -> Self {
        self.backend_tags = Some(tags);
        self
    }

    /// The value in this row, [`Value::None`] where the column does not apply to it.
    pub fn value<'a>(&self, row: &'a Row) -> Value<'a> {
        (self.value)(row)
    }

    /// Origin, nature and scope in this row.
    pub fn tags(&self, row: &Row) -> Tags {
        match self.backend_tags {
            Some(tags) if row.kind == Kind::Backend => tags,
            _ => self.tags,
        }
    }
}

/// How many columns have a promised position.
pub const STATIC_COLUMNS: usize = 103;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn there_are_103_static_columns_and_then_those_of_the_modules() {
        assert_eq!(COLUMNS[STATIC_COLUMNS - 1].name, "agg_check_status");
        assert_eq!(COLUMNS.len(), 127);
    }

    #[test]
    fn no_name_occurs_twice_and_each_has_a_doc() {
        let names: HashSet<_> = COLUMNS.iter().map(|column| column.name).collect();
        assert_eq!(names.len(), COLUMNS.len());
        assert!(COLUMNS.iter().all(|column| !column.doc.is_empty()));
    }
}
