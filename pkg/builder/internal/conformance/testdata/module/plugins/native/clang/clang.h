#ifndef CLANG_H
#define CLANG_H

#include <stdint.h>

#define CLANG_VERSION 3

typedef struct { int a; double b; } pair;

void clang_upper(char *s);
extern int clang_global;

int clang_count(void);
int clang_own(void);
int clang_each(int n, uintptr_t handle);

#endif
