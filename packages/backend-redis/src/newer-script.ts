/** Refuses what a newer version wrote, in Lua, by the beginning of the scope's state: see {@link "./keys.js"}. Nothing may be written before it. */
export const refuseNewer = (state: string): string => `
if ${state} and string.byte(${state}) > 57 then
  return redis.error_reply('NEWER a newer version of @holdfast/backend-redis wrote this scope: bring this process up to date')
end
`;
