/** A mirror's members as a chart takes them. */

/** A key with its value. A mirror's member is the same object until its value changes. */
export interface Member<V> {
	readonly key: string;
	readonly value: V;
}

/** What a list has behind the one that was drawn before; `undefined` where anything else of it has changed. */
export const appended = <V>(
	drawn: readonly Member<V>[],
	members: readonly Member<V>[],
): readonly Member<V>[] | undefined =>
	drawn.every((member, i) => member === members[i]) ? members.slice(drawn.length) : undefined;

/** The day of a member: the last segment of its key. */
export const dayOf = ({ key }: { readonly key: string }): string => key.slice(key.lastIndexOf("/") + 1);
