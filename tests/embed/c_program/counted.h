/* Counts of what a real-time thread must not do. */
#ifndef COUNTED_H
#define COUNTED_H

extern long n_allocations, n_locks;

#endif
