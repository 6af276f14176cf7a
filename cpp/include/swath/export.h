#pragma once

#if defined(_WIN32)
#define SWATH_API
#else
#define SWATH_API __attribute__((visibility("default")))
#endif
