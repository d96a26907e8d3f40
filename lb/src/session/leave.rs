//! Leave: a session that was told to go says goodbye to both sides, within a
//! bound of time. What is said when: see `core::farewell`.

use super::{Context, Session, Stage, Turn};
use crate::core::amqp_frames::Progress;
use crate::core::farewell::{Farewell, Orders};
use crate::relay::{Side, Workshop};
use crate::state::{Cause, Dismissal, End, Phase, ServerLive};
use std::io::{self, Read};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Rounds before others get their turn.
const BUDGET: u32 = 16;
/// A connection on which nobody has said anything is left alone for this long: its client may
/// be about to greet.
const FRESH_MS: u64 = 5000;

/// What the stage knows.
pub(super) struct Leaving {
    /// When it is cut.
    pub until_ms: u64,
    farewell: Farewell,
    orders: Orders,
    cause: Cause,
    client_gone: bool,
    server_gone: bool,
    _counted: Counted,
}

/// One of the sessions in `leaving` of a server.
struct Counted(Arc<ServerLive>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.leaving.fetch_sub(1, Relaxed);
    }
}

/// What a read gave.
enum Taken {
    Nothing,
    Bytes(usize),
    End,
}

impl Session {
    /// Whether it can be told to leave this server now: not in the middle of a handshake, nor
    /// when it ends anyway.
    pub fn may_be_dismissed(&self, now_ms: u64, server: &Arc<ServerLive>) -> bool {
        let here = self.attached.as_ref().map(|a| &a.server.live);
        let open = match self.talk.as_deref().map(|t| t.progress) {
            None | Some(Progress::Open | Progress::Foreign) => true,
            Some(Progress::Greeting(_)) => now_ms - self.accepted_ms >= FRESH_MS,
            Some(Progress::Handshake | Progress::Closing) => false,
        };
        let ends = self.upstream.ended || self.downstream.ended || self.client.ending;
        matches!(self.stage, Stage::Relay)
            && open
            && !ends
            && here.is_some_and(|live| Arc::ptr_eq(live, server))
    }

    pub(super) fn dismiss(&mut self, cx: &mut Context<'_>, dismissal: &Dismissal) -> Turn {
        let mut orders = Orders::default();
        let talk = self.talk.take().map(|talk| *talk);
        self.stage = Stage::Leave(Box::new(Leaving {
            until_ms: cx.now_ms + dismissal.wait_ms,
            farewell: Farewell::begin(talk, &dismissal.reason, &mut orders),
            orders,
            cause: dismissal.cause,
            client_gone: false,
            server_gone: false,
            _counted: Counted(dismissal.server.clone()),
        }));
        match self.leave(cx) {
            Turn::Wait => Turn::Rearm,
            turn => turn,
        }
    }

    /// Goodbyes, as far as sockets and budgets allow.
    pub(super) fn leave(&mut self, cx: &mut Context<'_>) -> Turn {
        for _ in 0..BUDGET {
            let (client_clear, server_clear) = self.carry_out(cx);
            let Stage::Leave(leaving) = &mut self.stage else {
                return Turn::Wait;
            };
            if leaving.orders.over && client_clear && server_clear {
                let cause = leaving.cause;
                let phase = Phase::Done;
                return self.finish(cx, End { cause, phase });
            }
            let heard_client = server_clear && self.hear_client(cx);
            let heard_server = client_clear && self.hear_server(cx);
            if !heard_client && !heard_server {
                return Turn::Wait;
            }
        }
        Turn::Again
    }

    /// Somebody did not answer in time.
    pub(super) fn leave_late(&mut self, cx: &mut Context<'_>) -> Turn {
        let cause = match &self.stage {
            Stage::Leave(leaving) => leaving.cause,
            _ => Cause::Internal,
        };
        let phase = Phase::Data;
        self.finish(cx, End { cause, phase })
    }

    /// Sends what is to be sent; true for the sides that took everything.
    fn carry_out(&mut self, cx: &mut Context<'_>) -> (bool, bool) {
        let (Stage::Leave(leaving), Some(server)) = (&mut self.stage, &mut self.server) else {
            return (false, false);
        };
        let orders = &mut leaving.orders;
        let sides = [
            (
                &mut self.downstream,
                &mut self.client,
                &mut orders.to_client,
                orders.end_client,
                &mut leaving.client_gone,
            ),
            (
                &mut self.upstream,
                server,
                &mut orders.to_server,
                orders.end_server,
                &mut leaving.server_gone,
            ),
        ];
        let clear = sides.map(|(flow, side, bytes, end, gone)| {
            // what was on its way before goes first, also out of a pipe
            let mut sent = flow.send_rest(side);
            if matches!(sent, Ok(true)) {
                flow.append(&std::mem::take(bytes));
                sent = flow.send_rest(side);
            }
            if sent.is_err() || *gone {
                // its read says the same
                (*gone, side.readable) = (true, true);
                bytes.clear();
                flow.abandon(&mut cx.shop.pipes);
                return true;
            }
            let clear = matches!(sent, Ok(true));
            if clear && end && !flow.passed_on {
                flow.passed_on = true;
                // fails only when the peer is gone, which its read says
                let _ = side.socket.shutdown(Shutdown::Write);
            }
            clear
        });
        (clear[0], clear[1])
    }

    fn hear_client(&mut self, cx: &mut Context<'_>) -> bool {
        let Stage::Leave(leaving) = &mut self.stage else {
            return false;
        };
        if self.upstream.ended {
            return false;
        }
        match take(&mut self.client, cx.shop) {
            Taken::Nothing => return false,
            Taken::Bytes(size) => {
                let bytes = &cx.shop.buffer[..size];
                leaving.farewell.from_client(bytes, &mut leaving.orders);
                self.bytes_in += size as u64;
                self.count_in(cx.thread(), size as u64);
            }
            Taken::End => {
                self.upstream.ended = true;
                leaving.farewell.client_ended(&mut leaving.orders);
            }
        }
        true
    }

    fn hear_server(&mut self, cx: &mut Context<'_>) -> bool {
        let (Stage::Leave(leaving), Some(server)) = (&mut self.stage, &mut self.server) else {
            return false;
        };
        if self.downstream.ended {
            return false;
        }
        match take(server, cx.shop) {
            Taken::Nothing => return false,
            Taken::Bytes(size) => {
                let bytes = &cx.shop.buffer[..size];
                leaving.farewell.from_server(bytes, &mut leaving.orders);
                self.bytes_out += size as u64;
                self.count_out(cx.thread(), size as u64);
            }
            Taken::End => {
                self.downstream.ended = true;
                leaving.farewell.server_ended(&mut leaving.orders);
            }
        }
        true
    }
}

/// Reads once; an error is an end.
fn take(side: &mut Side, shop: &mut Workshop) -> Taken {
    if !side.readable {
        return Taken::Nothing;
    }
    match (&side.socket).read(&mut shop.buffer) {
        Ok(0) => Taken::End,
        Ok(size) => {
            // a short read means drained, unless the end is here already
            side.readable = size == shop.buffer.len() || side.ending;
            Taken::Bytes(size)
        }
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            side.readable = false;
            Taken::Nothing
        }
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Taken::Bytes(0),
        Err(_) => Taken::End,
    }
}
