// What became of suggestions, by day, language and model, and what fimble learnt from it.

import { NONE, count, day, fileName, milliseconds, percent } from '../format';
import type { Counts, Group, Stats } from '../types';

const MAX_NUM_ROWS = 14;

export function Acceptance({ stats }: { stats: Stats | null }) {
  const groups = stats?.groups ?? [];
  if (groups.length === 0) {
    return (
      <section class="card">
        <h2>What became of suggestions</h2>
        <p class="fine">
          Nothing is known yet. Editors say which suggestions they showed and which you took; fimble
          counts that on this machine, without any text.
        </p>
      </section>
    );
  }
  return (
    <section class="card">
      <h2>What became of suggestions</h2>
      <div class="table-scroll" tabIndex={0} role="group" aria-label="Acceptance by day">
        <table class="figures">
          <thead>
            <tr>
              <th scope="col">Day</th>
              <th scope="col">Language</th>
              <th scope="col">Model</th>
              <th scope="col" class="number">Shown</th>
              <th scope="col">Accepted</th>
              <th scope="col" class="number">In part</th>
              <th scope="col" class="number">Left after 30 s</th>
              <th scope="col" class="number">10 min</th>
              <th scope="col" class="number">Median time</th>
            </tr>
          </thead>
          <tbody>
            {groups.slice(0, MAX_NUM_ROWS).map((group, at) => (
              <GroupRow key={at} group={group} isNewDay={group.day !== groups[at - 1]?.day} />
            ))}
          </tbody>
        </table>
      </div>
      {groups.length > MAX_NUM_ROWS && (
        <p class="fine">
          The newest {MAX_NUM_ROWS} of {groups.length} rows; <code>fimble stats</code> prints all.
        </p>
      )}
      <Learnt sentences={stats?.learnt ?? []} />
    </section>
  );
}

function GroupRow({ group, isNewDay }: { group: Group; isNewDay: boolean }) {
  return (
    <tr class={isNewDay ? 'is-new-day' : ''}>
      <th scope="row">{isNewDay ? day(group.day) : <span class="visually-hidden">{group.day}</span>}</th>
      <td>{group.language}</td>
      <td class="muted">{fileName(group.model)}</td>
      <td class="number">{count(group.shown)}</td>
      <td>
        <Rate rate={group.acceptance?.rate} />
      </td>
      <td class="number">{count(group.partly)}</td>
      <td class="number">{kept(group, '30')}</td>
      <td class="number">{kept(group, '600')}</td>
      <td class="number">{milliseconds(group.latency_ms?.p50)}</td>
    </tr>
  );
}

function kept(counts: Counts, moment: string): string {
  return percent(counts.kept?.[moment]?.ratio);
}

function Rate({ rate }: { rate: number | null | undefined }) {
  if (rate == null) {
    return <>{NONE}</>;
  }
  return (
    <span class="rate">
      <span class="number">{percent(rate)}</span>
      <span class="score-bar" aria-hidden="true">
        <span style={{ width: `${rate * 100}%` }} />
      </span>
    </span>
  );
}

function Learnt({ sentences }: { sentences: readonly string[] }) {
  if (sentences.length === 0) {
    return null;
  }
  return (
    <div class="learnt">
      <h3>What fimble learnt</h3>
      <ul>
        {sentences.map((one) => (
          <li key={one}>{one}</li>
        ))}
      </ul>
    </div>
  );
}
