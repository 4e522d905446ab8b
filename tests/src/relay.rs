//! A way between two parts of a test, over TCP, that breaks when it is told to. Looks at nothing that passes.

use std::io::copy;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// Leads from a port of its own to another; new connections are made until it is dropped.
pub struct Relay {
    here: SocketAddr,
    way: Arc<Mutex<Way>>,
}

#[derive(Default)]
struct Way {
    /// Both ends of all connections.
    open: Vec<TcpStream>,
    is_closed: bool,
}

impl Relay {
    /// To a port of loopback.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let here = listener.local_addr().expect("an address");
        let way: Arc<Mutex<Way>> = Arc::default();
        let relay = Self { here, way: way.clone() };
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let Ok(near) = near else { continue };
                let mut way = way.lock().unwrap_or_else(PoisonError::into_inner);
                if way.is_closed {
                    return;
                }
                // Nobody there: whoever called hears it by the connection.
                let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut to) = (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
                    std::thread::spawn(move || {
                        // It broke: that is what it is for.
                        let _ = copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                way.open.extend([near, far]);
            }
        });
        relay
    }

    /// Where it begins.
    pub fn port(&self) -> u16 {
        self.here.port()
    }

    /// Breaks all connections that there are.
    pub fn cut(&self) {
        for end in self.way.lock().unwrap_or_else(PoisonError::into_inner).open.drain(..) {
            // Gone already: as wanted.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.way.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.cut();
        // So that it sees it.
        let _ = TcpStream::connect(self.here);
    }
}
