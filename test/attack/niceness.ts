/** Priority of whatever is on the attacker's side: what it costs the machine is not what is measured. */

export const NICENESS = 10;
