// Tokens as they are drawn over a prompt or an output.

interface Props {
  text: string;
  /** The class that colours and underlines it. */
  look: string;
  description: string;
  /** Whether it is what most tokens are, which nobody wants to hear each time. */
  isUsual: boolean;
}

/** Tokens that the eye knows by colour and line, with words for those who hear the page. */
export function Tokens({ text, look, description, isUsual }: Props) {
  const name = `token ${look}`;
  if (isUsual) {
    return (
      <span class={name} title={description}>
        {text}
      </span>
    );
  }
  return (
    <mark class={name} title={description} aria-description={description}>
      {text}
    </mark>
  );
}
