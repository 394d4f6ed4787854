/** How many damaged inputs each reader has to stand in a test; more with the environment variable FUZZ. */
export const mutations = Number(process.env.FUZZ ?? 10_000);
