#include "textflag.h"

DATA ·table<>+0(SB)/8, $11
DATA ·table<>+8(SB)/8, $22
GLOBL ·table<>(SB), RODATA|NOPTR, $16

TEXT ·Add(SB), NOSPLIT, $0-24
	MOVQ a+0(FP), AX
	ADDQ b+8(FP), AX
	MOVQ AX, ret+16(FP)
	RET

TEXT ·AddBase(SB), NOSPLIT, $0-16
	MOVQ ·Base(SB), AX
	ADDQ a+0(FP), AX
	MOVQ AX, ret+8(FP)
	RET

TEXT ·Constant(SB), NOSPLIT, $0-16
	LEAQ ·table<>(SB), BX
	MOVQ i+0(FP), CX
	MOVQ (BX)(CX*8), AX
	MOVQ AX, ret+8(FP)
	RET

TEXT ·CallGo(SB), $16-16
	MOVQ n+0(FP), AX
	MOVQ AX, 0(SP)
	CALL ·double(SB)
	MOVQ 8(SP), AX
	MOVQ AX, ret+8(FP)
	RET

TEXT ·Sum(SB), NOSPLIT, $0-32
	MOVQ list_base+0(FP), SI
	MOVQ list_len+8(FP), CX
	XORQ AX, AX

next:
	TESTQ CX, CX
	JZ    done
	ADDQ  (SI), AX
	ADDQ  $8, SI
	DECQ  CX
	JMP   next

done:
	MOVQ AX, ret+24(FP)
	RET
