// SPDX-License-Identifier: MIT
// What every timed program shares: it reads commands, a line each, and answers with one line of numbers, so that bench/run
// can time many programs in turn. Also the data, a formula of the index, equal in all programs and languages.
//   check CASE           what all programs must agree on
//   time CASE SECONDS    seconds per call, one number for each sample
//   first CASE           one call, the first one
#pragma once
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace bench {

/// Number i of a stream, uniform in [0, 1): the last steps are those of xxHash32.
inline float uniform(std::uint32_t i, std::uint32_t stream) {
    std::uint32_t h = i * 2654435761u + stream * 2246822519u;
    h = (h ^ (h >> 15)) * 2246822519u;
    h = (h ^ (h >> 13)) * 3266489917u;
    h ^= h >> 16;
    return static_cast<float>(h >> 8) * 0x1p-24f;
}
/// n numbers in [low, high).
inline std::vector<float> numbers(std::size_t n, std::uint32_t stream, float low, float high) {
    std::vector<float> x(n);
    for (std::size_t i = 0; i < n; ++i)
        x[i] = low + (high - low) * uniform(static_cast<std::uint32_t>(i), stream);
    return x;
}
/// n integers in [0, below).
inline std::vector<int> labels(std::size_t n, std::uint32_t stream, int below) {
    std::vector<int> x(n);
    for (std::size_t i = 0; i < n; ++i)
        x[i] = static_cast<int>(uniform(static_cast<std::uint32_t>(i), stream) *
                                static_cast<float>(below));
    return x;
}

struct task {
    std::function<void()> run;                   // what is timed
    std::function<std::vector<double>()> check;  // after `reset`
    std::function<void()> reset = [] {};         // to the state before the first run
};
/// A task is made when its name is first used, and the last one is dropped then.
using tasks = std::map<std::string, std::function<task()>>;

/// With BENCH_CLOCK=cpu the time that the process has computed: what others do on the machine counts less then.
inline double now() {
    static const char* clock = std::getenv("BENCH_CLOCK");
    if (clock && std::string(clock) == "cpu")
        return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

/// A sample is as many calls as make it long enough to be measured.
inline std::vector<double> samples_of(const task& t, double seconds) {
    t.reset();
    t.run();
    double begin = now();
    t.run();
    double once = now() - begin;
    constexpr double shortest = 50e-6;
    auto calls =
        once < shortest ? static_cast<long>(shortest / (once > 1e-8 ? once : 1e-8)) + 1 : 1;
    double sample = once * static_cast<double>(calls);
    if (sample < seconds / 200) calls *= static_cast<long>(seconds / 200 / sample) + 1;
    std::vector<double> samples;
    double end = now() + seconds;
    while (samples.size() < 3 || now() < end) {
        begin = now();
        for (long i = 0; i < calls; ++i) t.run();
        samples.push_back((now() - begin) / static_cast<double>(calls));
    }
    return samples;
}

/// The evenly spaced elements that stand for a large result.
inline void sample_elements(std::vector<double>& to, const float* x, std::size_t n) {
    std::size_t step = n / 16 > 0 ? n / 16 : 1;
    for (std::size_t i = 0; i < n; i += step) to.push_back(static_cast<double>(x[i]));
    to.push_back(static_cast<double>(x[n - 1]));
}

inline int serve(const tasks& known) {
    std::string line, current;
    task made;
    while (std::getline(std::cin, line)) {
        std::istringstream words(line);
        std::string command, name;
        double seconds = 0;
        words >> command >> name >> seconds;
        auto at = known.find(name);
        if (at == known.end()) {
            std::cout << "unknown" << std::endl;
            continue;
        }
        if (current != name) {
            made = {};
            made = at->second();
            current = name;
        }
        std::vector<double> answer;
        if (command == "check") {
            made.reset();
            answer = made.check();
        } else if (command == "time") {
            answer = samples_of(made, seconds);
        } else {
            made.run();
        }
        std::cout.precision(9);
        for (double x : answer) std::cout << x << ' ';
        std::cout << std::endl;
    }
    return 0;
}

}  // namespace bench
