// A titled part of an explanation, with the one figure that matters beside the title.

import type { ComponentChildren } from 'preact';

interface Props {
  title: string;
  figure?: string;
  children: ComponentChildren;
}

export function Section({ title, figure, children }: Props) {
  return (
    <section class="section">
      <div class="section-head">
        <h3>{title}</h3>
        {figure !== undefined && <p class="figure number">{figure}</p>}
      </div>
      {children}
    </section>
  );
}
