# The rules of a C node's unit tests: include this after messages/krt.mk, which says where the SDK is.
# Nodes may set before: CFLAGS, LDLIBS, KRT_SANITIZE (empty where the compiler has no sanitizers).

KRT_SANITIZE ?= -fsanitize=address,undefined
KRT_SOURCES := $(filter-out %/krt_wasm.c,$(wildcard $(KRT_C)/src/*.c)) $(wildcard $(KRT_C)/testing/*.c)
KRT_MESSAGES := $(wildcard messages/*.pb.c messages/*/*.pb.c messages/*/*/*.pb.c messages/*/*/*/*.pb.c)
KRT_HEADERS := $(wildcard *.h test/*.h messages/*.pb.h messages/*/*.pb.h messages/*/*/*.pb.h messages/*/*/*/*.pb.h)

.PHONY: test
test: build/tests
	./build/tests

build/tests: $(wildcard *.c test/*.c) $(KRT_HEADERS) $(KRT_MESSAGES) $(KRT_SOURCES)
	@mkdir -p build
	$(CC) -std=c11 -D_GNU_SOURCE -g -Wall -Wextra -fno-strict-aliasing $(KRT_SANITIZE) $(CFLAGS) \
		-I. -Imessages -I$(KRT_C)/include $(filter %.c,$^) -lm $(LDLIBS) -o $@
