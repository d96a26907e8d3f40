//! What holds of every report.

use conf::diagnostic::Report;

/// Every place of a report lies inside of its file, and the report can be shown.
pub fn places_lie_inside(report: &Report) {
    let inside = |span: conf::source::Span| {
        let text = report.sources.file(span.file).text();
        assert!(span.start <= span.end, "{span:?}");
        assert!(
            (span.end as usize) <= text.len(),
            "{span:?} of {}",
            text.len()
        );
        assert!(text.is_char_boundary(span.start as usize), "{span:?}");
        assert!(text.is_char_boundary(span.end as usize), "{span:?}");
    };
    for diagnostic in &report.diagnostics {
        let labels = diagnostic.primary.iter().chain(&diagnostic.secondary);
        labels.for_each(|label| inside(label.span));
        if let Some(suggestion) = &diagnostic.suggestion {
            inside(suggestion.span);
        }
    }
    let _ = report.human(false);
    let _ = report.json();
}
