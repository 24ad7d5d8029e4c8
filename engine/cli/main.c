/* The program. Everything is in the library, so that tests can link it. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
    return mm_cli_main(argc, argv);
}
