// The live socket: reconnects with growing pauses, subscribes afresh each time, and tells how
// fresh the data are. A snapshot follows every subscription, so a reconnect leaves no hole.

const PAUSE_MIN = 500;
const PAUSE_MAX = 15_000;
/** Heartbeats come every second; silence of this length means that the link is dead. */
const SILENCE_MAX = 8_000;
const HISTORY = 1000;
const RESYNC_PAUSE = 3_000;

export class Feed {
  /** `on` has `snapshot`, `kline`, `refused` and `state`. */
  constructor(on) {
    this.on = on;
    this.wanted = null;
    this.socket = null;
    this.pause = PAUSE_MIN;
    this.retryAt = 0;
    this.heardAt = 0;
    this.beat = null; // the newest heartbeat, and when it came
    this.resyncAt = -Infinity;
    setInterval(() => this.watch(), 500);
    window.addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.retry();
    });
    this.connect();
  }

  /** Switches to one symbol and period. */
  subscribe(symbol, period) {
    this.wanted = { symbol, period };
    this.ask();
  }

  /** Asks for a fresh snapshot of what is shown. Asking again and again is held back. */
  resync() {
    const now = performance.now();
    if (now - this.resyncAt < RESYNC_PAUSE) return;
    this.resyncAt = now;
    this.ask();
  }

  ask() {
    if (!this.wanted || this.socket?.readyState !== WebSocket.OPEN) return;
    const { symbol, period } = this.wanted;
    const command = { subscribe: symbol, periods: [period], history: HISTORY };
    this.socket.send(JSON.stringify(command));
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws/kline/live`);
    this.socket = socket;
    this.heardAt = performance.now();
    socket.onopen = () => this.ask();
    socket.onmessage = (event) => {
      if (socket !== this.socket) return;
      this.heardAt = performance.now();
      this.take(JSON.parse(event.data));
    };
    socket.onclose = () => {
      if (socket === this.socket) this.lost();
    };
    this.on.state();
  }

  take(message) {
    const { symbol, period } = this.wanted ?? {};
    const ours = message.symbol === symbol && message.period === period;
    switch (message.type) {
      case "snapshot":
        this.pause = PAUSE_MIN;
        if (ours) this.on.snapshot(message);
        break;
      case "kline":
        if (ours) this.on.kline(message);
        break;
      case "heartbeat":
        this.beat = { ...message, at: performance.now() };
        this.on.state();
        break;
      case "error":
        this.on.refused(message);
        break;
    }
  }

  lost() {
    this.socket = null;
    // A random part keeps many pages from coming back at the same moment.
    this.retryAt = performance.now() + this.pause * (0.5 + Math.random());
    this.pause = Math.min(this.pause * 2, PAUSE_MAX);
    this.on.state();
  }

  retry() {
    if (!this.socket && this.wanted) this.connect();
  }

  watch() {
    const now = performance.now();
    if (this.socket && now - this.heardAt > SILENCE_MAX) {
      const dead = this.socket;
      this.lost();
      dead.close();
    } else if (!this.socket && now >= this.retryAt) {
      this.connect();
    }
    this.on.state();
  }

  /** The server's time now, by the newest heartbeat. */
  now() {
    return this.beat ? this.beat.now + (performance.now() - this.beat.at) : Date.now();
  }

  /**
   * How fresh the data are: `connecting` for the first time, `offline` with the time until the
   * next try, `stale`, or `live`. What is not live has an age, if there ever were data.
   */
  state() {
    const reached = this.beat ? this.now() - this.beat.published_at : null;
    if (this.socket?.readyState !== WebSocket.OPEN) {
      if (!this.beat && this.socket) return { kind: "connecting" };
      const wait = this.socket ? 0 : Math.max(0, this.retryAt - performance.now());
      return { kind: "offline", wait, age: reached };
    }
    if (!this.beat) return { kind: "connecting" };
    const stale = this.beat.stale.find(([symbol]) => symbol === this.wanted?.symbol);
    const since = stale ? stale[1] : this.beat.published_at;
    const age = this.now() - since;
    if (stale || age > 3_000) return { kind: "stale", age };
    return { kind: "live", exchange: this.beat.exchange_time };
  }
}
