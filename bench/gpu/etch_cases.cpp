// SPDX-License-Identifier: MIT
// What etch needs for the cases of bench/gpu/run. It reads commands, a line each, and answers each with a line of JSON,
// {"error": sentence} where something went wrong. CASE is words, as in models.hpp.
//   about                   the device, and versions
//   check CASE              three calls on the device and on the CPU: how far apart, and elements of the results
//   time SECONDS CASE       seconds of a call as a user waits for it, and of each launch on the device
//   copy SECONDS BYTES      seconds that a copy on the device takes that moves as many bytes: half read, half written
//   describe CASE           the program, and its kernels with their grids
#include "session.hpp"

#include "on_host.hpp"

namespace {

namespace gpu = bench::gpu;

std::string json_text(std::string_view text) {
    std::string s = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') s += '\\';
        if (c == '\n')
            s += "\\n";
        else
            s += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
    return s + '"';
}
std::string number(double x) {
    char text[40];
    std::snprintf(text, sizeof text, "%.9g", x);
    return std::isfinite(x) ? text : json_text(text);
}
std::string list(const std::vector<double>& all) {
    std::string s = "[";
    for (double x : all) s += (s.size() > 1 ? ", " : "") + number(x);
    return s + "]";
}

std::string about() {
    etch::cuda::device where(0);
    int driver = 0, nvrtc = 0, products = 0;
    etch::cuda::driver().version(driver);
    etch::cuda::nvrtc().version(nvrtc);
    std::string why;
    try {
        etch::cuda::cublaslt().version(products);
    } catch (const etch::mistake& m) {
        why = m.what();
    }
    return "{\"name\": " + json_text(where.name()) +
           ", \"architecture\": " + std::to_string(where.limits().architecture) +
           ", \"processors\": " + std::to_string(where.limits().processors) +
           ", \"driver\": " + json_text(etch::cuda::version_text(driver)) +
           ", \"nvrtc\": " + json_text(etch::cuda::version_text(nvrtc)) +
           ", \"cublaslt\": " + json_text(why.empty() ? etch::cuda::version_text(products) : why) +
           ", \"fake\": " + (gpu::is_fake ? "true" : "false") + "}";
}

/// The first call runs the steps one by one, the second records them, the third replays: all three are compared.
std::string check(const gpu::model& m) {
    gpu::session on_device(m);
    gpu::host_session on_host(m);
    for (int i = 0; i < 3; ++i) on_device.run_and_keep(), on_host.run();
    double worst = 0;
    std::string samples;
    for (const std::string& name : m.results) {
        const auto a = on_device.read(name), b = on_host.read(name);
        double difference = 0, largest = 0;
        for (std::size_t i = 0; i < a.size(); ++i) {
            const double d = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
            difference = d > difference || d != d ? d : difference;
            largest = std::max(largest, std::abs(static_cast<double>(b[i])));
        }
        const double relative = difference / std::max(largest, 1e-30);
        worst = relative > worst || relative != relative ? relative : worst;
        std::vector<double> some;
        bench::sample_elements(some, a.data(), a.size());
        samples += (samples.empty() ? "" : ", ") + json_text(name) + ": " + list(some);
    }
    return "{\"difference\": " + number(worst) + ", \"samples\": {" + samples + "}}";
}

/// Sets a variable of the environment while it lives.
class with_variable {
public:
    with_variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
    ~with_variable() { unsetenv(name_); }
    with_variable(const with_variable&) = delete;
    with_variable& operator=(const with_variable&) = delete;

private:
    const char* name_;
};

std::string time(const gpu::model& m, double seconds) {
    gpu::session s(m);
    std::vector<gpu::launch_clock::launch> launches;
    {
        with_variable one_by_one("ETCH_CUDA_GRAPH", "0");
        gpu::session steps(m, &s);
        steps.run();
        gpu::launch_clock::start(seconds / 10);
        steps.run();
        launches = gpu::launch_clock::stop();
    }
    double on_device = 0, copies = 0;
    std::map<std::string, std::pair<int, double>> by_name;
    for (const auto& l : launches) {
        on_device += l.seconds;
        if (l.name == "etch_copy" || l.name == "cuMemcpyDtoDAsync") copies += l.seconds;
        auto& [count, sum] = by_name[l.name];
        ++count;
        sum += l.seconds;
    }
    std::string kernels;
    for (const auto& [name, of] : by_name)
        kernels += (kernels.empty() ? "[" : ", [") + json_text(name) + ", " +
                   std::to_string(of.first) + ", " + number(of.second) + "]";

    bench::task call{[&] { s.run(); }, {}};
    s.run();  // the first records no graph yet
    std::vector<double> samples = bench::samples_of(call, seconds);
    std::sort(samples.begin(), samples.end());
    return "{\"call_s\": " + number(samples[samples.size() / 2]) +
           ", \"call_minimum_s\": " + number(samples[0]) +
           ", \"samples\": " + std::to_string(samples.size()) +
           ", \"device_s\": " + number(on_device) + ", \"copies_s\": " + number(copies) +
           ", \"launches\": " + std::to_string(launches.size()) + ", \"kernels\": [" + kernels +
           "], \"executor_bytes\": " + std::to_string(s.executor().bytes()) +
           ", \"state_bytes\": " + std::to_string(s.bytes()) + "}";
}

std::string copy(std::int64_t bytes, double seconds) {
    etch::cuda::device where(0);
    const std::int64_t half = std::max<std::int64_t>(bytes / 2, 4);
    etch::cuda::device_memory from(where, half), to(where, half);
    etch::cuda::current_device now(where);
    CUstream stream = nullptr;
    etch::cuda::check(where.api().cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING),
                      "cuStreamCreate");
    const auto size = static_cast<std::size_t>(half);
    auto put = [&] {
        etch::cuda::check(where.api().cuMemcpyDtoDAsync(to.address(), from.address(), size, stream),
                          "cuMemcpyDtoDAsync");
    };
    // Not zeros: a device may move those faster.
    std::vector<float> some = bench::numbers(std::min<std::size_t>(size / 4, 1 << 20), 1, -2, 2);
    for (std::size_t at = 0; at < size / 4; at += some.size())
        etch::cuda::check(where.api().cuMemcpyHtoDAsync(from.address() + 4 * at, some.data(),
                                                        4 * std::min(some.size(), size / 4 - at),
                                                        stream),
                          "cuMemcpyHtoDAsync");
    put();
    const double once = gpu::launch_clock::seconds_of(stream, seconds, put);
    where.api().cuStreamDestroy(stream);
    return "{\"device_s\": " + number(once) + "}";
}

std::string describe(const gpu::model& m) {
    etch::program p = etch::make_program(m.graph);
    etch::program_view v = etch::view_of(p);
    std::string kernels;
    for (std::size_t i = 0; i < v.steps.size(); ++i) {
        if (v.steps[i].parts.count == 0) continue;
        for (const auto& l :
             etch::cuda::plan_launches(v, v.steps[i].parts, {}, etch::cuda::device(0).limits()))
            kernels += "step " + std::to_string(i) + ": " + l.name + ", " +
                       std::to_string(l.blocks) + " blocks of " + std::to_string(l.threads) +
                       " threads\n";
    }
    return "{\"text\": " + json_text(etch::describe(v, {}) + kernels) + "}";
}

std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::string command, rest;
    double seconds = 0;
    words >> command;
    if (command == "time" || command == "copy") words >> seconds;
    std::getline(words >> std::ws, rest);
    if (command == "about") return about();
    if (command == "copy") return copy(std::stoll(rest), seconds);
    std::unique_ptr<gpu::model> m = gpu::model_builder(rest).make();
    if (command == "check") return check(*m);
    if (command == "time") return time(*m, seconds);
    if (command == "describe") return describe(*m);
    throw etch::mistake("no command has the name " + command);
}

}  // namespace

int main() {
    gpu::device_under_test device;
    try {
        gpu::launch_clock::install();
    } catch (const etch::mistake& m) {
        std::cout << "{\"error\": " << json_text(m.what()) << "}" << std::endl;
        return 77;
    }
    for (std::string line; std::getline(std::cin, line);) {
        std::string said;
        try {
            said = answer(line);
        } catch (const std::exception& e) {
            said = "{\"error\": " + json_text(e.what()) + "}";
            gpu::launch_clock::stop();
        }
        if (const std::string wrong = device.verdict(); !wrong.empty())
            said = "{\"error\": " + json_text("the device: " + wrong) + "}";
        std::cout << said << std::endl;
    }
}
