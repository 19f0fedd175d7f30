// SPDX-License-Identifier: MIT
// The net of digits.cpp with dlib's trainer, the peer of its compile time.
#include <dlib/dnn.h>

using net = dlib::loss_multiclass_log<
    dlib::fc<10, dlib::relu<dlib::fc<256, dlib::input<dlib::matrix<float>>>>>>;

void train(net& n, const std::vector<dlib::matrix<float>>& images,
           const std::vector<unsigned long>& labels) {
    dlib::dnn_trainer<net, dlib::adam> trainer(n, dlib::adam(0, 0.9f, 0.999f));
    trainer.set_learning_rate(1e-3);
    trainer.train_one_step(images, labels);
    trainer.get_net();
}
