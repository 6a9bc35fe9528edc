// A part of a whole, as a bar with its words.

import { percent } from '../format';

export function Meter({ ratio, label }: { ratio: number; label: string }) {
  const width = `${Math.min(100, Math.max(0, ratio * 100))}%`;
  return (
    <div class="meter">
      <div class="meter-bar" aria-hidden="true">
        <span style={{ width }} />
      </div>
      <p class="meter-label">
        <span class="number">{percent(ratio)}</span> {label}
      </p>
    </div>
  );
}
