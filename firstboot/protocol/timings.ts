// Every duration of the protocol, in milliseconds of the device's own monotonic clock, with its reason.

const second = 1_000;
const minute = 60 * second;

/** Between hellos while looking for a cluster (Akka's joining gossip); each is varied by ±20 %. */
export const helloEvery = 1 * second;
/** The same after two minutes of nothing: a board that waits for its site for days should be quiet. */
export const helloSlowly = 5 * second;
export const helloSlowlyAfter = 2 * minute;
/** Between two hellos at least, however many reasons there are to speak. */
export const helloAtMostEvery = 400;
/** A server's beacon while its cluster is young, and when nothing happens (Syncthing: 30 s). */
export const beaconEvery = 5 * second;
export const beaconSlowly = 30 * second;
export const beaconSlowlyAfter = 2 * minute;
/** Silence after which a server no longer counts as heard: three beacons. */
export const serverSilent = 3 * beaconSlowly;
/** A member that hears no server asks at this pace. */
export const askEvery = 10 * second;
/** Silence after which a peer that is looking for a cluster is no longer counted (ten hellos at the slow pace). */
export const peerSilent = 50 * second;

/** A device looks around this long after carrier before it founds … */
export const settle = 10 * second;
/** … and this long where nobody answers: spanning tree keeps a port silent for 2 × 15 s. */
export const settleAlone = 45 * second;
/** One that could found and does not loses its turn to the next in rank. */
export const turnToFound = 90 * second;
/** How long "founding" counts as a cluster heard: a slow board's k3s takes minutes. */
export const foundingCounts = 10 * minute;

/** A proposer repeats what was not answered, and gives a ballot up. */
export const ballotRepeat = 500;
export const ballotLasts = 3 * second;
/** Pause before the next ballot, doubled after each failure up to the most, and drawn at random below it. */
export const ballotPause = 1 * second;
export const ballotPauseMost = 5 * minute;
/** One that hears a better cluster propose lets it go first. */
export const ballotDefer = 15 * second;

/** A device that lost its memory asks at this pace for what it said. */
export const recoverEvery = 2 * second;
/** After this long a person is told: most likely a majority was flashed. */
export const recoveryOverdue = 2 * minute;
/** One fetch over TLS may take this long before another is tried. */
export const fetchLasts = 5 * second;
/** A join that did not end is tried again, and given up when its cluster is silent this long. */
export const joinLasts = 5 * minute;

/** Without a server: an undecided agent leaves; electors sign that a decided founder is lost. */
export const lostAfter = 30 * minute;
/** A quorum of electors must have been heard within this time, all along, for the time to count. */
export const companySilent = 60 * second;
/** How often a member looks whether its server is there. */
export const watchEvery = 10 * second;
/** A signed loss counts this long with those who hear it. */
export const lossCounts = 2 * minute;

/** A disk that refused a write is tried again. */
export const diskRetry = 60 * second;
