/* malloc and pthread_mutex_lock of the whole process, counted: the program's own definitions come
 * first for every library that it loads. glibc only. */
#define _GNU_SOURCE
#include "counted.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

long n_allocations, n_locks;

extern void* __libc_malloc(size_t n);
extern void* __libc_memalign(size_t alignment, size_t n);

void* malloc(size_t n) {
  ++n_allocations;
  return __libc_malloc(n);
}

void* aligned_alloc(size_t alignment, size_t n) {
  ++n_allocations;
  return __libc_memalign(alignment, n);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) {
  static int (*real)(pthread_mutex_t*);
  ++n_locks;
  if (real == NULL) {
    void* found = dlsym(RTLD_NEXT, "pthread_mutex_lock");
    memcpy(&real, &found, sizeof(real));
  }
  return real(mutex);
}
