// A request's time as one bar, cut into its stages.

import { milliseconds, percent } from '../format';
import { STAGES, partsOf, totalOf, type Part } from '../stages';
import type { Explanation } from '../types';

/** The bar; `scale` is the number of milliseconds that fill it. */
export function StageBar({ one, scale }: { one: Explanation; scale: number }) {
  const parts = partsOf(one);
  const total = totalOf(one);
  const width = `${Math.min(100, (total / Math.max(scale, 1)) * 100)}%`;
  const label = parts.map((part) => `${part.name} ${milliseconds(part.ms)}`).join(', ');
  return (
    <div class="stagebar" role="img" aria-label={label || `${milliseconds(total)} in all`}>
      <div class="stagebar-fill" style={{ width }}>
        {parts.length === 0 && <span class="stage is-unknown" style={{ flexGrow: 1 }} />}
        {parts.map((part) => (
          <span
            key={part.key}
            class={`stage is-${part.key}`}
            style={{ flexGrow: part.ms }}
            title={`${part.name}: ${milliseconds(part.ms)}`}
          />
        ))}
      </div>
    </div>
  );
}

/** The stages by name, with what each took. */
export function StageTable({ parts, total }: { parts: readonly Part[]; total: number }) {
  return (
    <table class="stagetable">
      <thead class="visually-hidden">
        <tr>
          <th scope="col">Stage</th>
          <th scope="col">What it is</th>
          <th scope="col">Time</th>
          <th scope="col">Part of the whole</th>
        </tr>
      </thead>
      <tbody>
        {parts.map((part) => (
          <tr key={part.key}>
            <th scope="row">
              <span class={`swatch stage is-${part.key}`} />
              {part.name}
            </th>
            <td class="meaning">{part.meaning}</td>
            <td class="number">{milliseconds(part.ms)}</td>
            <td class="number muted">{total > 0 ? percent(part.ms / total) : ''}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function StageLegend() {
  return (
    <ul class="legend" aria-label="Stages">
      {STAGES.map((stage) => (
        <li key={stage.key} title={stage.meaning}>
          <span class={`swatch stage is-${stage.key}`} />
          {stage.name}
        </li>
      ))}
    </ul>
  );
}
