// What the remembered requests have in common.

import { milliseconds, reasonOf } from '../format';
import { outcomeOf } from '../outcomes';
import { StageBar, StageTable } from '../parts/stagebar';
import { requests } from '../state';
import { STAGES, partsOf } from '../stages';
import type { Explanation } from '../types';

const MAX_NUM_REASONS = 6;

export function Reasons() {
  const counts = new Map<string, number>();
  for (const one of requests.value.filter((each) => outcomeOf(each) === 'nothing')) {
    const said = reasonOf(one);
    counts.set(said, (counts.get(said) ?? 0) + 1);
  }
  const ordered = [...counts].sort((a, b) => b[1] - a[1]).slice(0, MAX_NUM_REASONS);
  const most = ordered[0]?.[1] ?? 1;
  return (
    <section class="card">
      <h2>Why nothing was shown</h2>
      {ordered.length === 0 ? (
        <p class="fine">
          {requests.value.length === 0
            ? 'Nobody has asked yet.'
            : 'Every request that was answered brought a suggestion.'}
        </p>
      ) : (
        <ol class="reasons">
          {ordered.map(([reason, num]) => (
            <li key={reason}>
              <span>{reason}</span>
              <b class="number">{num}</b>
              <span class="reason-bar" aria-hidden="true">
                <span style={{ width: `${(num / most) * 100}%` }} />
              </span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

/** Returns a request that took as long in each stage as `all` took on average. */
function average(all: readonly Explanation[]): Explanation {
  const timings: Record<string, number> = { total: 0 };
  for (const { key } of STAGES) {
    const sum = all.reduce((found, one) => found + (one.timings_ms?.[key] ?? 0), 0);
    timings[key] = sum / Math.max(1, all.length);
    timings['total'] = (timings['total'] ?? 0) + timings[key];
  }
  return { id: '', time: 0, timings_ms: timings };
}

export function WhereTimeGoes() {
  const computed = requests.value.filter(
    (one) => outcomeOf(one) === 'suggestion' && partsOf(one).length > 0,
  );
  const mean = average(computed);
  const total = mean.timings_ms?.total ?? 0;
  return (
    <section class="card">
      <h2>Where the time goes</h2>
      {computed.length === 0 ? (
        <p class="fine">There was no suggestion yet whose stages are known.</p>
      ) : (
        <>
          <p class="fine">
            A suggestion takes <span class="number">{milliseconds(total)}</span> on average.
          </p>
          <StageBar one={mean} scale={total} />
          <StageTable parts={partsOf(mean)} total={total} />
        </>
      )}
    </section>
  );
}
