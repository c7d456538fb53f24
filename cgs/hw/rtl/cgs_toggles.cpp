// Runs the bench and writes how often every net changed, to the file named by +toggles=FILE.
#include <cstring>
#include <memory>
#include "Vcgs_bench.h"
#include "verilated.h"
#include "verilated_cov.h"

int main(int argc, char** argv) {
    const auto context = std::make_unique<VerilatedContext>();
    context->commandArgs(argc, argv);
    const auto bench = std::make_unique<Vcgs_bench>(context.get());
    while (!context->gotFinish()) {
        bench->eval();
        if (!bench->eventsPending()) break;
        context->time(bench->nextTimeSlot());
    }
    bench->final();
    const char* match = context->commandArgsPlusMatch("toggles=");
    context->coveragep()->write(match[0] ? match + std::strlen("+toggles=") : "toggles.dat");
    return 0;
}
