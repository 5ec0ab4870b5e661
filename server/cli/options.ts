/** What follows an option of the command line, as `--name value` or `--name=value`; null where it is not there. */
export function optionOf(args: readonly string[], name: string): string | null {
  for (const [at, arg] of args.entries()) {
    if (arg === name) return args[at + 1] ?? null;
    if (arg.startsWith(`${name}=`)) return arg.slice(name.length + 1);
  }
  return null;
}

/** The first argument that is neither one of the flags nor one of the options with its value; null where all are. */
export function unknownArgument(
  args: readonly string[],
  { flags, options = [] }: { flags: readonly string[]; options?: readonly string[] },
): string | null {
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    const [name = "", value] = arg.includes("=") ? [arg.slice(0, arg.indexOf("=")), arg] : [arg];
    if (flags.includes(arg)) continue;
    if (!options.includes(name)) return arg;
    if (value === undefined && args[++at] === undefined) return arg;
  }
  return null;
}
