// Everything at a glance: how suggestions fare, what the process holds, what it is doing.

import { useEffect, useState } from 'preact/hooks';

import { acceptance } from '../api';
import { bytes, count, duration, milliseconds, percent, quantile } from '../format';
import { OUTCOMES, OUTCOME_PLURALS, outcomeOf } from '../outcomes';
import { Meter } from '../parts/meter';
import { OutcomeMark } from '../parts/icons';
import { requests, status } from '../state';
import { totalOf } from '../stages';
import type { Stats } from '../types';
import { Acceptance } from './acceptance';
import { Holdings } from './holdings';
import { Reasons, WhereTimeGoes } from './summaries';

const REFRESH_MS = 30_000; // each time the server counts what it has noted in all its time

export function Overview() {
  const stats = useStats();
  return (
    <div class="page">
      <h1>Overview</h1>
      <div class="tiles">
        <RequestsTile />
        <AcceptanceTile stats={stats} />
        <SpeedTile />
        <MemoryTile />
      </div>
      <div class="columns">
        <Reasons />
        <WhereTimeGoes />
      </div>
      <Acceptance stats={stats} />
      <Holdings />
    </div>
  );
}

function useStats(): Stats | null {
  const [stats, setStats] = useState<Stats | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    const fetchThem = () => acceptance(stop.signal).then(setStats, () => undefined);
    void fetchThem();
    const timer = setInterval(() => document.hidden || void fetchThem(), REFRESH_MS);
    return () => {
      stop.abort();
      clearInterval(timer);
    };
  }, []);
  return stats;
}

function RequestsTile() {
  const all = requests.value;
  return (
    <section class="tile">
      <h2>Requests remembered</h2>
      <p class="tile-figure number">{count(all.length)}</p>
      <ul class="tile-list">
        {OUTCOMES.map((outcome) => (
          <li key={outcome}>
            <OutcomeMark outcome={outcome} />
            {OUTCOME_PLURALS[outcome]}
            <b class="number">{all.filter((one) => outcomeOf(one) === outcome).length}</b>
          </li>
        ))}
      </ul>
    </section>
  );
}

function AcceptanceTile({ stats }: { stats: Stats | null }) {
  const total = stats?.total;
  const { rate, low, high } = total?.acceptance ?? {};
  return (
    <section class="tile">
      <h2>Accepted</h2>
      <p class="tile-figure number">{percent(rate)}</p>
      {total && total.shown > 0 ? (
        <p class="tile-note">
          of <span class="number">{count(total.shown)}</span> shown; between{' '}
          <span class="number">{percent(low)}</span> and{' '}
          <span class="number">{percent(high)}</span> with 95 % certainty
        </p>
      ) : (
        <p class="tile-note">Nothing was shown yet, or the editor does not say what it shows.</p>
      )}
    </section>
  );
}

function SpeedTile() {
  const times = requests.value.filter((one) => outcomeOf(one) === 'suggestion').map(totalOf);
  return (
    <section class="tile">
      <h2>Until a suggestion</h2>
      <p class="tile-figure number">{milliseconds(quantile(times, 0.5))}</p>
      <p class="tile-note">
        {times.length > 0 ? (
          <>
            half of them; 95 % within{' '}
            <span class="number">{milliseconds(quantile(times, 0.95))}</span>
          </>
        ) : (
          'There was no suggestion yet.'
        )}
      </p>
    </section>
  );
}

function MemoryTile() {
  const memory = status.value?.memory;
  const resident = memory?.resident_bytes;
  const total = memory?.total_bytes;
  return (
    <section class="tile">
      <h2>Memory</h2>
      <p class="tile-figure number">{bytes(resident)}</p>
      {resident != null && total != null && (
        <Meter ratio={resident / total} label={`of ${bytes(total)}`} />
      )}
      <p class="tile-note">
        fimble {status.value?.version ?? ''}, up {duration(status.value?.uptime_s)}
      </p>
    </section>
  );
}
