//! A page in the manual's language.

use super::Page;

/// Writes it.
pub fn page(page: &Page) -> String {
    let escape = |text: &str| {
        let text = text.replace('\\', "\\e").replace('-', "\\-");
        let starts_like_a_request = text.starts_with(['.', '\'']);
        if starts_like_a_request {
            format!("\\&{text}")
        } else {
            text
        }
    };
    let name = page.name.replace(' ', "-");
    let mut out = format!(
        ".TH {} {} \"\" \"Evenkeel {}\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n.B {}\n{}\n.SH DESCRIPTION\n",
        name.to_uppercase(),
        page.section,
        env!("CARGO_PKG_VERSION"),
        name,
        escape(page.about),
        escape(page.name),
        escape(page.form)
    );
    let paragraphs: Vec<String> = page.text.iter().map(|p| escape(p) + "\n").collect();
    out.push_str(&paragraphs.join(".PP\n"));
    let entries = page.entries();
    if !entries.is_empty() {
        out.push_str(".SH OPTIONS AND WORDS\n");
    }
    for (form, doc) in &entries {
        out.push_str(&format!(".TP\n.B {}\n{}\n", escape(form), escape(doc)));
    }
    out.push_str(&format!(".SH SEE ALSO\n{}\n", escape(&page.see.join(", "))));
    out
}
