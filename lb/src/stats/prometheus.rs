//! stub
use std::sync::Arc;
#[derive(Default)]
pub struct Options;
impl Options {
    pub fn parse(_q: &str) -> Self {
        Options
    }
}
pub fn pieces(_c: Arc<crate::admin::Control>, _o: Options) -> impl Iterator<Item = String> + Send {
    std::iter::empty()
}
