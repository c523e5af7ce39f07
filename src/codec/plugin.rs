//! The codec [`super::packed`] as an extension of zarrs: any program that links this crate reads
//! and writes such arrays through zarrs alone.

use std::num::NonZeroU64;
use std::sync::Arc;

use zarrs::array::codec::api::{
    ArrayCodecTraits, ArrayToBytesCodecTraits, Codec, CodecError, CodecMetadataOptions,
    CodecOptions, CodecPluginV3, CodecTraits, CodecTraitsV3, InvalidBytesLengthError,
    PartialDecoderCapability, PartialEncoderCapability, RecommendedConcurrency,
};
use zarrs::array::{
    ArrayBytes, ArrayBytesRaw, BytesRepresentation, DataType, FillValue, data_type,
};
use zarrs::metadata::Configuration;
use zarrs::metadata::v3::MetadataV3;
use zarrs::plugin::{PluginCreateError, ZarrVersion};

use super::packed::{self, Configuration as PackedConfiguration};
use crate::Dtype;

/// The codec between an array of integers and bytes.
#[derive(Debug, Clone, Copy)]
struct PackedCodec(PackedConfiguration);

zarrs::plugin::impl_extension_aliases!(PackedCodec, v3: packed::NAME);

inventory::submit! {
    CodecPluginV3::new::<PackedCodec>()
}

impl CodecTraitsV3 for PackedCodec {
    fn create(metadata: &MetadataV3) -> Result<Codec, PluginCreateError> {
        if cfg!(target_endian = "big") {
            return Err(PluginCreateError::from("packed is not made for big-endian machines"));
        }
        let configuration = metadata.to_typed_configuration()?;
        Ok(Codec::ArrayToBytes(Arc::new(Self(configuration))))
    }
}

impl CodecTraits for PackedCodec {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn configuration(&self, _: ZarrVersion, _: &CodecMetadataOptions) -> Option<Configuration> {
        serde_json::to_value(self.0).ok()?.as_object().cloned().map(Into::into)
    }

    fn partial_decoder_capability(&self) -> PartialDecoderCapability {
        // zarrs decodes the whole chunk and cuts from that.
        PartialDecoderCapability { partial_read: false, partial_decode: false }
    }

    fn partial_encoder_capability(&self) -> PartialEncoderCapability {
        PartialEncoderCapability { partial_encode: false }
    }
}

impl ArrayCodecTraits for PackedCodec {
    fn recommended_concurrency(
        &self,
        _: &[NonZeroU64],
        _: &DataType,
    ) -> Result<RecommendedConcurrency, CodecError> {
        Ok(RecommendedConcurrency::new_maximum(1))
    }
}

impl ArrayToBytesCodecTraits for PackedCodec {
    fn into_dyn(self: Arc<Self>) -> Arc<dyn ArrayToBytesCodecTraits> {
        self
    }

    fn encoded_representation(
        &self,
        _: &[NonZeroU64],
        data_type: &DataType,
        _: &FillValue,
    ) -> Result<BytesRepresentation, CodecError> {
        packable(data_type).map(|_| BytesRepresentation::UnboundedSize)
    }

    fn encode<'a>(
        &self,
        bytes: ArrayBytes<'a>,
        shape: &[NonZeroU64],
        data_type: &DataType,
        _: &FillValue,
        _: &CodecOptions,
    ) -> Result<ArrayBytesRaw<'a>, CodecError> {
        let encoder = packed::Encoder { dtype: packable(data_type)?, key_every: self.0.key_every };
        let voxels = bytes.into_fixed()?;
        let (shape, bytes) = chunk_of(shape, encoder.dtype)?;
        if voxels.len() != bytes {
            return Err(InvalidBytesLengthError::new(voxels.len(), bytes).into());
        }
        Ok(encoder.encode(&voxels, shape, &mut packed::EncodeScratch::default())?.into())
    }

    fn decode<'a>(
        &self,
        bytes: ArrayBytesRaw<'a>,
        shape: &[NonZeroU64],
        data_type: &DataType,
        _: &FillValue,
        _: &CodecOptions,
    ) -> Result<ArrayBytes<'a>, CodecError> {
        let dtype = packable(data_type)?;
        let (shape, length) = chunk_of(shape, dtype)?;
        let mut voxels = bytemuck::allocation::try_zeroed_vec(length)
            .map_err(|()| CodecError::from("packed: no memory for the chunk"))?;
        packed::decode(&bytes, shape, dtype, &mut voxels)
            .map_err(|e| CodecError::Other(e.to_string()))?;
        Ok(ArrayBytes::new_flen(voxels))
    }
}

fn packable(data_type: &DataType) -> Result<Dtype, CodecError> {
    let known = [
        (data_type::uint8(), Dtype::UInt8),
        (data_type::uint16(), Dtype::UInt16),
        (data_type::uint32(), Dtype::UInt32),
        (data_type::int8(), Dtype::Int8),
        (data_type::int16(), Dtype::Int16),
        (data_type::int32(), Dtype::Int32),
    ];
    let found = known.into_iter().find(|(known, _)| known == data_type);
    let refused = || CodecError::Other(packed::not_taken(format_args!("{data_type:?}")));
    found.map(|(_, dtype)| dtype).ok_or_else(refused)
}

/// The chunk as the codec sees it, all axes before the last two taken as one, and its bytes.
fn chunk_of(shape: &[NonZeroU64], dtype: Dtype) -> Result<([usize; 3], usize), CodecError> {
    let axes: Option<Vec<usize>> = shape.iter().map(|n| n.get().try_into().ok()).collect();
    let too_large = || CodecError::from("packed: the chunk is too large for this machine");
    let chunk = packed::fold(&axes.ok_or_else(too_large)?).ok_or_else(too_large)?;
    let bytes = crate::voxels(chunk).and_then(|n| n.checked_mul(dtype.size()));
    Ok((chunk, bytes.ok_or_else(too_large)?))
}
