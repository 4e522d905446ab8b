//! Who waits for a durable, and whom to wake once the stream's lock is released. Never locks.

use std::task::Waker;

/// The subscribers of a durable. All that wait are woken by a message: one woken alone might be busy with another
/// durable's message and leave this one lying, though somebody else is idle.
#[derive(Default)]
pub(super) struct Seats {
    seats: Vec<Seat>,
}

#[derive(Default)]
struct Seat {
    taken: bool,
    waker: Option<Waker>,
}

/// Wakers to be called after the lock. The first, which is the usual number, costs no allocation.
#[derive(Default)]
pub(super) struct Wakers {
    first: Option<Waker>,
    rest: Vec<Waker>,
}

impl Seats {
    pub(super) fn sit(&mut self) -> usize {
        let index = self.seats.iter().position(|seat| !seat.taken).unwrap_or_else(|| {
            self.seats.push(Seat::default());
            self.seats.len() - 1
        });
        self.seats[index].taken = true;
        index
    }

    pub(super) fn leave(&mut self, seat: usize) {
        self.seats[seat] = Seat::default();
    }

    pub(super) fn wait(&mut self, seat: usize, waker: &Waker) {
        self.seats[seat].waker = Some(waker.clone());
    }

    pub(super) fn wake(&mut self, wakers: &mut Wakers) {
        for seat in &mut self.seats {
            wakers.extend(seat.waker.take());
        }
    }
}

impl Wakers {
    pub(super) fn extend(&mut self, waker: Option<Waker>) {
        match waker {
            None => {}
            Some(waker) if self.first.is_none() => self.first = Some(waker),
            Some(waker) => self.rest.push(waker),
        }
    }

    pub(super) fn wake(self) {
        self.first.into_iter().chain(self.rest).for_each(Waker::wake);
    }
}
