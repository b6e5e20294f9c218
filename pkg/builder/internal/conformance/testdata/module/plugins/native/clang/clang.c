#include <ctype.h>

#include "_cgo_export.h"
#include "clang.h"

static int count = 0;
int clang_global = 5;

void clang_upper(char *s) {
	for (; *s; s++)
		*s = toupper(*s);
}

int clang_count(void) { return ++count; }

int clang_own(void) { return clangOwn(); }

int clang_each(int n, uintptr_t handle) {
	int sum = 0;
	for (int i = 0; i < n; i++)
		sum += clangCallback(handle, i);
	return sum;
}
