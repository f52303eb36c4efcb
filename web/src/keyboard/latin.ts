// Letters of shortcuts, on all keyboards.

/** Returns the key in lower case or, on a keyboard with other letters, the Latin letter in its place. */
export function latin({ key, code }: Pick<KeyboardEvent, "key" | "code">): string {
  const isOther = key.length === 1 && key > "\u007f" && code.startsWith("Key");
  return (isOther ? code.slice(3) : key).toLowerCase();
}
