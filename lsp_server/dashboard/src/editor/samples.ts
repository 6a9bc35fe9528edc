// What the playground begins with. `|` is the cursor.

export interface Sample {
  language: string;
  name: string;
  path: string;
  text: string;
}

export const SAMPLES: readonly Sample[] = [
  {
    language: 'python',
    name: 'Python',
    path: 'inventory.py',
    text: `from dataclasses import dataclass, field


@dataclass
class Inventory:
    """Items by name, with how many of each there are."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, count: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + count

    def remove(self, name: str, count: int = 1) -> None:
        |

    def total(self) -> int:
        return sum(self.counts.values())
`,
  },
  {
    language: 'typescript',
    name: 'TypeScript',
    path: 'queue.ts',
    text: `export class Queue<T> {
  private items: T[] = [];

  push(item: T): void {
    this.items.push(item);
  }

  pop(): T | undefined {
    |
  }

  get length(): number {
    return this.items.length;
  }
}
`,
  },
  {
    language: 'javascript',
    name: 'JavaScript',
    path: 'debounce.js',
    text: `/** Calls \`work\` once nothing has called it for \`ms\` milliseconds. */
export function debounce(work, ms) {
  let timer;
  return (...words) => {
    |
  };
}
`,
  },
  {
    language: 'rust',
    name: 'Rust',
    path: 'matrix.rs',
    text: `pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    pub fn zeros(rows: usize, columns: usize) -> Self {
        |
    }
}
`,
  },
  {
    language: 'go',
    name: 'Go',
    path: 'words.go',
    text: `package words

import "strings"

// Count returns how often each word occurs in text.
func Count(text string) map[string]int {
	|
}
`,
  },
  {
    language: 'java',
    name: 'Java',
    path: 'Range.java',
    text: `public record Range(int start, int end) {
    public boolean contains(int value) {
        |
    }

    public int length() {
        return end - start;
    }
}
`,
  },
];

/** Returns the text without its cursor, and where that was. */
export function cut(text: string): { text: string; offset: number } {
  const offset = text.indexOf('|');
  return { text: text.slice(0, offset) + text.slice(offset + 1), offset };
}
