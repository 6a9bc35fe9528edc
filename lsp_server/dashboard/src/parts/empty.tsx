// What is shown where there is nothing: why, and what to do.

import type { ComponentChildren } from 'preact';

interface Props {
  title: string;
  /** Of the heading: 1 where nothing else is on the page. */
  level?: 1 | 2;
  children: ComponentChildren;
}

export function Empty({ title, level = 2, children }: Props) {
  const Heading = `h${level}` as const;
  return (
    <div class="empty">
      <Heading>{title}</Heading>
      <div class="empty-text">{children}</div>
    </div>
  );
}
