/* The postel program: the command table. */
#include "base/base.h"

int main(void)
{
    return 0;
}
