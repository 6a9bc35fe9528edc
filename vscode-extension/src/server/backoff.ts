// How long to wait before a server that has died is started again.

const FIRST_MS = 500;
const LONGEST_MS = 60_000;
/** One that has lived so long did not die of being started. */
const HEALTHY_MS = 60_000;

export class Backoff {
  private failures = 0;
  private startedAt = 0;

  /** How often in a row the server has died soon after it was started. */
  get numFailures(): number {
    return this.failures;
  }

  started(now: number): void {
    this.startedAt = now;
  }

  /** Returns the milliseconds to wait: half a second, then twice as long each time, at most a minute. */
  died(now: number): number {
    if (this.startedAt > 0 && now - this.startedAt >= HEALTHY_MS) {
      this.failures = 0;
    }
    this.failures += 1;
    return Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(this.failures - 1, 10));
  }

  /** Forgets the past, as when the user restarts the server. */
  reset(): void {
    this.failures = 0;
  }
}
