//! A socket whose other end can neither flood nor stall.
//!
//! Reading is paced by a byte bucket: what comes faster waits in the kernel, and TCP pushes back.
//! This bounds what frames below the websocket layer (pings, empty fragments) can cost. Writing
//! fails when nothing at all could be written for a while.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::gate::Bucket;

/// A paced connection.
#[derive(Debug)]
pub(crate) struct Metered {
    stream: TcpStream,
    bucket: Bucket,
    /// Runs while reading waits for the bucket.
    pause: Option<Pin<Box<Sleep>>>,
    stall_max: Duration,
    /// Runs while a write waits for the other end.
    stall: Option<Pin<Box<Sleep>>>,
}

impl Metered {
    pub(crate) fn new(stream: TcpStream, bytes_per_second: u32, stall_max: Duration) -> Self {
        let rate = f64::from(bytes_per_second);
        let bucket = Bucket::new(rate, rate * 4.0, Instant::now());
        Self { stream, bucket, pause: None, stall_max, stall: None }
    }

    fn written<T>(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stall = None;
            return outcome;
        }
        let stall_max = self.stall_max;
        let stall =
            self.stall.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + stall_max)));
        ready!(stall.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other end does not read")))
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(context));
            this.pause = None;
        }
        let wait = this.bucket.wait_for(1.0, Instant::now());
        if !wait.is_zero() {
            let mut pause = Box::pin(sleep_until(Instant::now() + wait));
            // Registers the wake-up; a timer that is due already lets the read go on.
            if pause.as_mut().poll(context).is_pending() {
                this.pause = Some(pause);
                return Poll::Pending;
            }
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let bytes = buffer.filled().len() - before;
        this.bucket.spend(f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (near, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn a_flood_is_read_at_the_paced_rate() {
        let (mut near, far) = pair().await;
        near.write_all(&[7; 3000]).await.unwrap();
        let mut far = Metered::new(far, 1000, Duration::from_secs(1));
        let mut buffer = [0; 3000];
        far.read_exact(&mut buffer).await.unwrap();
        far.bucket.spend(3000.0); // as if three times the burst had come
        near.write_all(&[7]).await.unwrap();
        let soon = tokio::time::timeout(Duration::from_millis(100), far.read(&mut buffer)).await;
        assert!(soon.is_err(), "the debt is not paid yet");
    }

    #[tokio::test]
    async fn who_reads_nothing_is_cut() {
        let (_near, far) = pair().await;
        let mut far = Metered::new(far, 1000, Duration::from_millis(50));
        let flood = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = far.write_all(&flood).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
