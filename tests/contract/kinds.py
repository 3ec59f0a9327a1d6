"""The kinds of estimators: what each has to have, and whom the contract's tests ask.

The kind of a class is seen from its methods, so that no row of the table can claim
another. A test asks every class of the table, unless it needs what some have not: that
stands in `NEEDS`, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

from sklearn.base import MetaEstimatorMixin


@dataclass(frozen=True)
class Kind:
    """A kind of estimators.

    Attributes
    ----------
    name : str
    methods : frozenset of str
        What every class of the kind has.
    absent : frozenset of str
        What none of them has.
    """

    name: str
    methods: frozenset[str]
    absent: frozenset[str]

    def lapses(self, cls: type) -> list[str]:
        """Answer the methods that a class lacks, or has too many."""
        found = {name for name in dir(cls) if not name.startswith("_")}
        return sorted(self.methods - found) + sorted(self.absent & found)


_FITTED = frozenset({"fit", "get_params", "set_params", "score"})
_TRAINED = _FITTED | {"partial_fit", "save", "summary", "to_module"}
_BOTH_WAYS = {"transform", "fit_transform", "get_feature_names_out", "set_output"}
_BOTH_WAYS |= {"inverse_transform", "layer_codes", "sample"}
_REBUILT = {"reconstruct", "reconstruction_error", "score_samples"}

META = Kind("meta", _FITTED, frozenset())
PREDICTOR = Kind("predictor", _TRAINED | {"predict"}, frozenset({"reconstruct"}))
AUTOENCODER = Kind(
    "autoencoder", _TRAINED | _BOTH_WAYS | _REBUILT, frozenset({"predict"})
)
GENERATOR = Kind(
    "generator",
    _TRAINED | {"sample", "inverse_transform"},
    frozenset({"transform", "predict", *_REBUILT}),
)


def kind_of(cls: type) -> Kind:
    """Answer the kind of a class.

    Raises
    ------
    LookupError
        If it is of none.
    """
    if issubclass(cls, MetaEstimatorMixin):
        return META
    signs = {"predict": PREDICTOR, "transform": AUTOENCODER, "sample": GENERATOR}
    for sign, kind in signs.items():
        if hasattr(cls, sign):
            return kind
    raise LookupError(f"{cls.__name__} is of no kind: it has none of {[*signs]}")


# The tests that need something which not every class has: methods, by their names; a y
# that may be "labels", or has to be "rows"; a "public" class, of which there are files,
# pickles without code and documentation. All others are asked of every class.
_NEEDED = {
    "transform": """
        test_an_estimator test_an_estimator_in_one_state test_a_wide_net
        test_a_fit_in_another_state_than_the_answers test_in_threads
        test_a_module_of_ones_own_is_in_the_state_of_its_owner
        test_y_changes_nothing test_labels_that_are_needed
        test_pipeline_with_memory test_pipeline_inverse_transform
        test_column_transformer_and_feature_union test_grid_search
        test_a_search_through_a_pipeline_that_ends_in_a_classifier
        test_set_output test_global_set_output test_rows_and_codes_are_frames
        test_frames_of_rows_without_names test_frames_of_sparse_rows
        test_rows_of_several_axes_stay_arrays test_frames_through_a_pipeline
        test_frames_leave_other_methods_as_they_were test_columns_keep_their_dtypes
        test_a_class_without_containers test_feature_names_out
        test_partial_fit_goes_on_from_fit test_warm_start_refuses_another_shape
        test_streams_do_not_disturb_each_other test_nets_are_exported_by_torch
        test_nets_are_traced test_files_answer_the_same
        test_densities_sample_the_same test_names_and_containers_come_back
        test_a_file_of_a_model_on_cuda test_forms_of_float32
        test_rows_are_never_modified test_rows_are_never_kept
        test_before_the_first_step_nothing_changes
        test_a_pipeline_is_interrupted test_answers_are_repeatable
        test_files_without_what_a_fit_leaves test_skops_files_answer_the_same
        test_pipelines_leave test_copies_of_what_is_not_fitted test_to_module
        test_a_forked_child_does_not_hang test_stacks
        test_a_large_row_far_behind test_rows_far_from_zero
        test_rows_of_any_size test_a_column_far_smaller_than_the_others
        test_refused_in_training test_renamed_columns
        test_what_overflows_float32_is_refused_in_training test_unfitted_methods
        test_samples_spread_as_residuals_do test_a_batched_search_in_a_pipeline
        test_constant_data_is_reconstructed test_vectors_have_no_shape
        test_checks_that_sklearn_runs_on_itself test_tags_are_at_their_defaults
        test_tensors_give_the_answers_of_arrays
        test_sparse_tensors_are_sparse_rows
        test_sklearn_callbacks test_sklearn_callbacks_through_a_search
        test_validation_scores_are_of_held_out_rows test_fitting_and_looking
        test_wide_nets test_a_fit_that_fails test_unusual_settings_do_no_harm
    """,
    "inverse_transform": """
        test_forms_of_codes test_large_codes test_codes_of_another_width
    """,
    "sample": """
        test_rows_and_codes_are_frames test_frames_of_rows_without_names
        test_samples_are_repeatable test_samples_follow_the_rows
        test_sample_needs_a_density test_densities_sample_the_same
        test_damaged_files test_an_interrupt_after_the_last_epoch
        test_densities_go_along test_copies_sample_the_same
        test_cuda_leaves_the_world_as_it_was test_a_forked_child_does_not_hang
        test_fits_and_answers test_samples_spread_as_residuals_do
        test_a_fit_does_not_show_its_slices test_sampling
    """,
    "predict": """
        test_targets_come_back test_targets_are_needed
    """,
    "labels": """
        test_every_public_method_is_called test_after_what_is_raised
        test_batched_searches test_refitting_starts_afresh
        test_a_refused_refit_leaves_the_old_model test_a_stream_equals_one_epoch
        test_samples_follow_the_rows test_files_are_plain_and_small
        test_forms_of_float64 test_bool test_forms_of_codes test_a_real_signal
        test_nothing_of_the_rows_or_gradients_stays
        test_pickles_are_as_large_as_the_weights test_wide_codes_of_narrow_rows
        test_integers_that_float64_does_not_tell_apart
        test_rows_that_hardly_differ_are_refused test_small_data
        test_constant_data test_one_entry_far_from_all_others_is_trained
        test_every_row_is_in_every_epoch test_sparse_rows_equal_dense_rows
        test_nothing_is_written test_threads_of_a_fit
    """,
    "rows": """
        test_targets_come_back
    """,
    "public": """
        test_an_estimator test_an_estimator_in_one_state test_in_threads
        test_frames_leave_other_methods_as_they_were test_warm_starts_of_copies
        test_streams_of_copies test_every_parameter_stands_once
        test_every_public_fitted_attribute_stands_once test_class_docstrings
        test_files_answer_the_same test_training_goes_on
        test_files_of_what_is_not_fitted test_parameters_come_back_as_they_were
        test_densities_sample_the_same test_the_world_stays_as_it_was
        test_names_and_containers_come_back test_what_cannot_be_written
        test_a_file_of_another_machine test_files_are_plain_and_small
        test_damaged_files test_forms_of_float64 test_forms_of_float32
        test_forms_of_codes test_an_interrupt_at_some_lines
        test_a_second_interrupt_while_the_first_is_dealt_with
        test_an_interrupt_after_the_last_epoch
        test_files_without_what_a_fit_leaves
        test_a_state_is_arrays_and_plain_values test_skops_files_answer_the_same
        test_skops_files_hold_no_net test_densities_go_along
        test_pipelines_leave test_the_state_of_torch_does_not_reach_a_copy
        test_parameters_that_were_changed_do_not_reach_the_copy
        test_a_pickle_of_another_net_is_refused
        test_pickles_are_as_large_as_the_weights test_devices_as_objects
        test_rows_far_from_zero
    """,
}
NEEDS: dict[str, set[str]] = {}
for _need, _tests in _NEEDED.items():
    for _test in _tests.split():
        NEEDS.setdefault(_test, set()).add(_need)


def needs_of(test: str) -> set[str]:
    """Answer what a test needs, by its name."""
    return NEEDS.get(test, set())
