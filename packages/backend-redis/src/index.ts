/**
 * Redis as a backend of Holdfast.
 *
 * @packageDocumentation
 */
export { type RedisOptions, redis } from "./redis.js";
