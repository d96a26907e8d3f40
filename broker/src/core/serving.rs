//! Whether clients are served: `stop_app` and `start_app`, `suspend_listeners` and `resume_listeners`.

use super::Core;

impl Core {
    /// Takes no new clients, or takes them again; those that are here stay.
    pub fn close_to_new(&mut self, closed: bool) {
        self.closed_to_new = closed;
    }

    /// Whether clients are to be able to connect.
    pub fn wants_clients(&self) -> bool {
        !self.suspended && !self.closed_to_new
    }

    /// Turns clients away, those that are here with 320, or serves them again.
    pub fn suspend(&mut self, suspended: bool) {
        if self.suspended && !suspended {
            self.closed_to_new = false;
        }
        if std::mem::replace(&mut self.suspended, suspended) == suspended || !suspended {
            return;
        }
        for index in self.connection_indexes() {
            self.close_connection(
                index,
                "broker forced connection closure with reason 'shutdown'",
            );
        }
    }
}
